package import KaratKernels
import KaratTensors

/// A function of each number, such as GELU.
public struct Activation: Operation {
  /// Which function.
  package let kind: ActivationKind

  package init(_ kind: ActivationKind) {
    self.kind = kind
  }

  package var name: String { kind.rawValue }

  package func resultTypes(of inputs: [ValueType]) throws(GraphError) -> [ValueType] {
    guard inputs.count == 1, inputs[0].dtype == .f32 else {
      throw GraphError("an activation needs one F32 value, not \(inputs).")
    }
    return inputs
  }

  package func evaluate(_ run: Evaluation) {
    activate(
      kind,
      x: run.inputs[0].floats,
      count: run.inputs[0].count,
      out: run.outputs[0].mutableFloats,
      on: run.workers
    )
  }

  package var gradientReads: GradientReads? { .allInputs }

  package func differentiate(_ run: Differentiation) {
    guard let x = run.target(0) else { return }
    activationGradient(
      kind,
      x: run.inputs[0].floats,
      gradient: run.gradient().floats,
      count: run.inputs[0].count,
      addTo: x,
      on: run.workers
    )
  }
}
