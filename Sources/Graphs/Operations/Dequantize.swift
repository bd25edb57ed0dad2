import KaratKernels
public import KaratTensors

/// Codes back to real numbers: weights I8[out, in] by scales F32[out, 1], activations U8[…] by a
/// scale F32[1] and zero point I8[1], or U8[…, in] by a scale for each token F32[…, 1].
public struct Dequantize: Operation {
  /// How numbers became codes.
  public let scheme: Scheme

  package init(_ scheme: Scheme) {
    self.scheme = scheme
  }

  package var name: String { "dequantize" }
  package var isTokenwise: Bool { true }
  package var attributes: [(name: String, value: String)] {
    [("granularity", scheme.granularity.rawValue)]
  }

  package func resultTypes(of inputs: [ValueType]) throws(GraphError) -> [ValueType] {
    switch scheme.granularity {
    case .channel:
      guard inputs.count == 2, inputs[0].dtype == .i8, inputs[0].extents.count == 2,
        inputs[1] == ValueType(.f32, [inputs[0].extents[0], .fixed(1)])
      else { throw GraphError("INT8 weights need one F32 scale for each row: \(inputs).") }
    case .tensor:
      guard inputs.count == (scheme.isSymmetric ? 2 : 3), inputs[0].dtype == .u8,
        inputs[1] == ValueType(.f32, 1), inputs.dropFirst(2).allSatisfy({ $0 == ValueType(.i8, 1) })
      else { throw GraphError("activation codes need one scale and zero point: \(inputs).") }
    case .token:
      guard scheme == .int8Tokens, inputs.count == 2, inputs[0].dtype == .u8,
        inputs[1] == inputs[0].with(dtype: .f32, features: 1)
      else { throw GraphError("tokens' codes need one F32 scale for each token: \(inputs).") }
    }
    return [inputs[0].with(dtype: .f32)]
  }

  package func evaluate(_ run: Evaluation) {
    let (codes, scales) = (run.inputs[0], run.inputs[1])
    if scheme.granularity == .channel {
      dequantizeRows(
        codes: codes.signedCodes,
        rows: codes.rows,
        columns: codes.features,
        scales: scales.floats,
        out: run.outputs[0].mutableFloats,
        on: run.workers
      )
    } else {
      let range = ActivationCodes(scheme, run.inputs.dropFirst())
      dequantize(
        codes: codes.codes,
        rows: codes.rows,
        columns: codes.features,
        scales: range.scales,
        isPerRow: range.isPerRow,
        zeroPoint: range.zeroPoint,
        out: run.outputs[0].mutableFloats,
        on: run.workers
      )
    }
  }

  package var gradientReads: GradientReads? { .nothing }

  package func differentiate(_ run: Differentiation) {
    // Scales have their gradients where codes are made: there is what was rounded.
    guard let codes = run.target(0) else { return }
    let gradient = run.gradient()
    accumulate(gradient.floats, count: gradient.count, addTo: codes, on: run.workers)
  }
}
