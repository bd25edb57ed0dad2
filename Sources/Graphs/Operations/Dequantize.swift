import KaratKernels
public import KaratTensors

/// Codes back to real numbers: weights I8[out, in] by scales F32[out, 1], or activations U8[…] by a
/// scale F32[1] and zero point I8[1].
public struct Dequantize: Operation {
  /// How numbers became codes.
  public let scheme: Scheme

  package init(_ scheme: Scheme) {
    self.scheme = scheme
  }

  package var name: String { "dequantize" }
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
      throw GraphError("codes with one scale for each token cannot be dequantized alone.")
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
      let range = QuantizationRange(run.inputs.dropFirst())
      let (from, to) = (codes.codes, run.outputs[0].mutableFloats)
      for index in 0..<codes.count {
        to[index] = range.scale * Float(Int32(from[index]) - Int32(range.unsignedZeroPoint))
      }
    }
  }
}
