import KaratKernels
import KaratTensors

/// A matrix product: x F32[…, in] and a weight F32[out, in], with an optional bias F32[out], give
/// x · weightᵀ + bias, F32[…, out].
public struct Linear: Operation {
  package init() {}

  package var name: String { "linear" }
  package var isTokenwise: Bool { true }
  package var linearMap: LinearMap? {
    LinearMap(input: 0, weight: 1, bias: 2, takesCodes: true)
  }

  package func resultTypes(of inputs: [ValueType]) throws(GraphError) -> [ValueType] {
    guard inputs.count == 2 || inputs.count == 3, inputs[1].extents.count == 2,
      case .fixed(let outFeatures) = inputs[1].extents[0],
      inputs[0].features == inputs[1].features, inputs.allSatisfy({ $0.dtype == .f32 })
    else {
      throw GraphError(
        "a linear layer cannot multiply \(inputs.first?.description ?? "nothing") by a weight "
          + "\(inputs.dropFirst().first?.description ?? "that is not there"): the innermost "
          + "extents must agree."
      )
    }
    if inputs.count == 3, inputs[2].extents != [.fixed(outFeatures)] {
      throw GraphError("a bias of \(inputs[2]) does not fit \(outFeatures) output features.")
    }
    return [inputs[0].with(features: outFeatures)]
  }

  package func evaluate(_ run: Evaluation) {
    run.rounding.linear(
      run.inputs[0],
      run.inputs[1],
      bias: run.inputs.count == 3 ? run.inputs[2] : nil,
      // Whole sequences may run together with others, or in parts.
      isSteady: run.cache == nil,
      out: run.outputs[0],
      on: run.workers
    )
  }

  package var gradientReads: GradientReads? { GradientReads(inputs: [0, 1]) }

  package func differentiate(_ run: Differentiation) {
    let (x, weight, gradient) = (run.inputs[0], run.inputs[1], run.gradient())
    if let target = run.target(0) {
      run.rounding.addInputGradient(gradient, weight, to: target, on: run.workers)
    }
    if let target = run.target(1) {
      run.rounding.addWeightGradient(gradient, x, to: target, on: run.workers)
    }
    if let bias = run.target(2) {
      addColumnSums(
        of: gradient.floats,
        rows: gradient.rows,
        features: gradient.features,
        addTo: bias,
        on: run.workers
      )
    }
  }
}
