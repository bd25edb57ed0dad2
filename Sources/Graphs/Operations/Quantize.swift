import KaratKernels
public import KaratTensors

/// Real activations to codes, by a scale and zero point from calibration.
///
/// x F32[…], scale F32[1] and, where the scheme is asymmetric, zero point I8[1] give codes U8[…]:
/// clamp(round(x / scale) + zero point + 128, 0, 255), ties to even. Codes are unsigned while they
/// run, because that is what the integer units multiply; files hold the zero point as INT8.
public struct Quantize: Operation {
  /// How numbers become codes.
  public let scheme: Scheme

  package init(_ scheme: Scheme) {
    self.scheme = scheme
  }

  package var name: String { "quantize" }
  package var attributes: [(name: String, value: String)] {
    [("bits", "\(scheme.bits)"), ("symmetric", "\(scheme.isSymmetric)")]
  }

  package func resultTypes(of inputs: [ValueType]) throws(GraphError) -> [ValueType] {
    guard scheme.bits == 8, scheme.granularity == .tensor, !scheme.isDynamic,
      inputs.count == (scheme.isSymmetric ? 2 : 3), inputs[0].dtype == .f32,
      inputs[1] == ValueType(.f32, 1), inputs.dropFirst(2).allSatisfy({ $0 == ValueType(.i8, 1) })
    else {
      throw GraphError("activations become 8-bit codes by one scale and zero point: \(inputs).")
    }
    return [inputs[0].with(dtype: .u8)]
  }

  package func evaluate(_ run: Evaluation) {
    let range = QuantizationRange(run.inputs.dropFirst())
    quantize(
      x: run.inputs[0].floats,
      count: run.inputs[0].count,
      scale: range.scale,
      zeroPoint: range.unsignedZeroPoint,
      out: run.outputs[0].mutableCodes,
      on: run.workers
    )
  }
}

extension QuantizationRange {
  /// The range that a scale and, where there is one, a zero point in memory describe.
  init(_ operands: ArraySlice<Operand>) {
    guard let scale = operands.first else { preconditionFailure("a range has a scale") }
    let zero = operands.dropFirst().first
    self.init(scale: scale.floats[0], zeroPoint: zero.map { $0.signedCodes[0] } ?? 0)
  }
}
