import KaratKernels
import KaratTensors

/// Layer normalization: (x − mean) / √(variance + ε) · weight + bias over the innermost extent (Ba,
/// Kiros and Hinton, 2016).
public struct LayerNorm: Operation {
  /// Added to the variance before the root.
  public let epsilon: Float

  package init(epsilon: Float) {
    self.epsilon = epsilon
  }

  package var name: String { "layer_norm" }
  package var attributes: [(name: String, value: String)] { [("epsilon", "\(epsilon)")] }

  package func resultTypes(of inputs: [ValueType]) throws(GraphError) -> [ValueType] {
    guard inputs.count == 3, inputs[0].dtype == .f32, let features = inputs[0].features,
      inputs[1] == ValueType(.f32, features), inputs[2] == ValueType(.f32, features)
    else {
      throw GraphError(
        "a norm's weight and bias must match its input's innermost extent: \(inputs)."
      )
    }
    return [inputs[0]]
  }

  package func evaluate(_ run: Evaluation) {
    let x = run.inputs[0]
    layerNorm(
      x: x.floats,
      rows: x.rows,
      features: x.features,
      weight: run.inputs[1].floats,
      bias: run.inputs[2].floats,
      epsilon: epsilon,
      out: run.outputs[0].mutableFloats,
      on: run.workers
    )
  }

  package var gradientReads: GradientReads? { GradientReads(inputs: [0, 1]) }

  package func differentiate(_ run: Differentiation) {
    let (x, weight) = (run.inputs[0], run.inputs[1])
    layerNormGradient(
      x: x.floats,
      rows: x.rows,
      features: x.features,
      weight: weight.floats,
      epsilon: epsilon,
      gradient: run.gradient().floats,
      addToX: run.target(0),
      addToWeight: run.target(1),
      addToBias: run.target(2),
      on: run.workers
    )
  }
}
