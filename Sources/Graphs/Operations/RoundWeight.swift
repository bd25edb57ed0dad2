package import KaratKernels
public import KaratTensors

/// A weight to integer codes while it is trained: W F32[out, in] and a scale for each row F32[out, 1]
/// give codes I8[out, in], clamp(round(W / scale), −L, L) with L = 2^(bits − 1) − 1, ties to even.
///
/// Gradients pass straight through the rounding where a weight lies inside the range; a scale's is
/// that of learned step sizes (Esser et al., 2020).
public struct RoundWeight: Operation {
  /// How numbers become codes.
  public let scheme: Scheme
  /// Which numbers the gradient of a scale counts.
  package let counting: ScaleGradient

  package init(_ scheme: Scheme, counting: ScaleGradient = .learnedStepSize) {
    self.scheme = scheme
    self.counting = counting
  }

  package var name: String { "round_weight" }
  package var attributes: [(name: String, value: String)] { [("bits", "\(scheme.bits)")] }

  package func resultTypes(of inputs: [ValueType]) throws(GraphError) -> [ValueType] {
    guard scheme.granularity == .channel, scheme.isSymmetric, inputs.count == 2,
      inputs[0].dtype == .f32, inputs[0].extents.count == 2,
      inputs[1] == ValueType(.f32, [inputs[0].extents[0], .fixed(1)])
    else {
      throw GraphError("a weight becomes codes by one F32 scale for each row: \(inputs).")
    }
    return [inputs[0].with(dtype: .i8)]
  }

  package func evaluate(_ run: Evaluation) {
    let (weight, scales) = (run.inputs[0], run.inputs[1])
    quantizeRows(
      weight: weight.floats,
      rows: weight.rows,
      columns: weight.features,
      scales: scales.floats,
      limit: scheme.limit,
      out: run.outputs[0].mutableSignedCodes,
      on: run.workers
    )
  }

  package var gradientReads: GradientReads? { .allInputs }

  package func differentiate(_ run: Differentiation) {
    let (weight, scales) = (run.inputs[0], run.inputs[1])
    quantizeRowsGradient(
      weight: weight.floats,
      rows: weight.rows,
      columns: weight.features,
      scales: scales.floats,
      limit: scheme.limit,
      counting: counting,
      gradient: run.gradient().floats,
      addTo: run.target(0),
      addToScales: run.target(1),
      on: run.workers
    )
  }
}
