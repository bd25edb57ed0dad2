import KaratKernels
import KaratTensors

/// A gated activation: SiLU of the first input times the second (Shazeer, 2020).
public struct SwiGLU: Operation {
  package init() {}

  package var name: String { "swiglu" }
  package var isTokenwise: Bool { true }

  package func resultTypes(of inputs: [ValueType]) throws(GraphError) -> [ValueType] {
    [try sameType(inputs)]
  }

  package func evaluate(_ run: Evaluation) {
    swiglu(
      gate: run.inputs[0].floats,
      up: run.inputs[1].floats,
      count: run.outputs[0].count,
      out: run.outputs[0].mutableFloats,
      on: run.workers
    )
  }

  package var gradientReads: GradientReads? { .allInputs }

  package func differentiate(_ run: Differentiation) {
    let gradient = run.gradient()
    swigluGradient(
      gate: run.inputs[0].floats,
      up: run.inputs[1].floats,
      gradient: gradient.floats,
      count: gradient.count,
      addToGate: run.target(0),
      addToUp: run.target(1),
      on: run.workers
    )
  }
}

/// The elementwise sum of two values of one type.
public struct Add: Operation {
  package init() {}

  package var name: String { "add" }
  package var isTokenwise: Bool { true }

  package func resultTypes(of inputs: [ValueType]) throws(GraphError) -> [ValueType] {
    [try sameType(inputs)]
  }

  package func evaluate(_ run: Evaluation) {
    add(
      a: run.inputs[0].floats,
      b: run.inputs[1].floats,
      count: run.outputs[0].count,
      out: run.outputs[0].mutableFloats,
      on: run.workers
    )
  }

  package var gradientReads: GradientReads? { .nothing }

  package func differentiate(_ run: Differentiation) {
    let gradient = run.gradient()
    for input in 0..<2 {
      guard let target = run.target(input) else { continue }
      accumulate(gradient.floats, count: gradient.count, addTo: target, on: run.workers)
    }
  }
}

private func sameType(_ inputs: [ValueType]) throws(GraphError) -> ValueType {
  guard inputs.count == 2, inputs[0] == inputs[1], inputs[0].dtype == .f32 else {
    throw GraphError("an elementwise operation needs two F32 values of one shape, not \(inputs).")
  }
  return inputs[0]
}
