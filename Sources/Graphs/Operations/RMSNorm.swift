import KaratKernels
import KaratTensors

/// Root-mean-square normalization: x / sqrt(mean(x²) + ε) · weight over the innermost extent
/// (Zhang and Sennrich, 2019), or over each head of it, where the weight is as long as a head.
public struct RMSNorm: Operation {
  /// Added to the mean square before the root.
  public let epsilon: Float

  package init(epsilon: Float) {
    self.epsilon = epsilon
  }

  package var name: String { "rms_norm" }
  package var isTokenwise: Bool { true }
  package var attributes: [(name: String, value: String)] { [("epsilon", "\(epsilon)")] }

  package func resultTypes(of inputs: [ValueType]) throws(GraphError) -> [ValueType] {
    guard inputs.count == 2, inputs[0].dtype == .f32, let features = inputs[0].features,
      let size = inputs[1].features, inputs[1] == ValueType(.f32, size), size > 0,
      features % size == 0
    else { throw GraphError("a norm's weight must match its input's innermost extent: \(inputs).") }
    return [inputs[0]]
  }

  package func evaluate(_ run: Evaluation) {
    let x = run.inputs[0]
    let size = run.inputs[1].features
    rmsNorm(
      x: x.floats,
      rows: x.count / size,
      features: size,
      weight: run.inputs[1].floats,
      epsilon: epsilon,
      out: run.outputs[0].mutableFloats,
      on: run.workers
    )
  }

  package var gradientReads: GradientReads? { GradientReads(inputs: [0, 1]) }

  package func differentiate(_ run: Differentiation) {
    let (x, weight) = (run.inputs[0], run.inputs[1])
    rmsNormGradient(
      x: x.floats,
      rows: x.count / weight.features,
      features: weight.features,
      weight: weight.floats,
      epsilon: epsilon,
      gradient: run.gradient().floats,
      addToX: run.target(0),
      addToWeight: run.target(1),
      on: run.workers
    )
  }
}
