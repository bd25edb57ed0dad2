import KaratKernels
public import KaratTensors

/// A matrix product of codes in integer arithmetic: UINT8 × INT8 → INT32, then scaled.
///
/// x U8[…, in], weight I8[out, in], weight scales F32[out, 1], the activation's scale F32[1], or that
/// of each token F32[…, 1], and, where it is asymmetric, zero point I8[1], then an optional bias
/// F32[out], give F32[…, out].
public struct IntegerLinear: Operation {
  /// How the activation became codes.
  public let activation: Scheme
  /// Whether the last input is a bias.
  public let hasBias: Bool

  package init(activation: Scheme, hasBias: Bool) {
    self.activation = activation
    self.hasBias = hasBias
  }

  package var name: String { "integer_linear" }
  package var isTokenwise: Bool { true }
  package var attributes: [(name: String, value: String)] {
    [("symmetric", "\(activation.isSymmetric)")]
      + (activation.isDynamic ? [("granularity", activation.granularity.rawValue)] : [])
  }
  package var packedInput: Int? { 1 }

  package func resultTypes(of inputs: [ValueType]) throws(GraphError) -> [ValueType] {
    let ranges = activation.isSymmetric ? 1 : 2
    let isPerToken = activation == .int8Tokens
    let scale = isPerToken ? inputs.first?.with(dtype: .f32, features: 1) : ValueType(.f32, 1)
    guard inputs.count == 3 + ranges + (hasBias ? 1 : 0), inputs[0].dtype == .u8,
      inputs[1].dtype == .i8, inputs[1].extents.count == 2, let features = inputs[1].features,
      inputs[0].features == features, case .fixed(let outFeatures) = inputs[1].extents[0],
      inputs[2] == ValueType(.f32, outFeatures, 1), inputs[3] == scale,
      isPerToken || (activation.granularity == .tensor && !activation.isDynamic),
      activation.isSymmetric || inputs[4] == ValueType(.i8, 1),
      !hasBias || inputs.last == ValueType(.f32, outFeatures)
    else {
      throw GraphError("codes, weights, scales and zero points do not fit together: \(inputs).")
    }
    guard features <= PackedInt8Weight.maximumInnerSize else {
      throw GraphError(
        "\(features) input features could overflow a 32-bit sum; at most "
          + "\(PackedInt8Weight.maximumInnerSize) cannot. Leave this layer in float: add it to "
          + "ignore."
      )
    }
    return [inputs[0].with(dtype: .f32, features: outFeatures)]
  }

  package func evaluate(_ run: Evaluation) {
    guard let weight = run.packed else { preconditionFailure("integer weights are packed first") }
    let range = ActivationCodes(activation, run.inputs.dropFirst(3))
    integerLinear(
      x: run.inputs[0].codes,
      rows: run.inputs[0].rows,
      weight: weight,
      scales: range.scales,
      isPerRow: range.isPerRow,
      zeroPoint: range.zeroPoint,
      weightScales: run.inputs[2].floats,
      bias: hasBias ? run.inputs.last?.floats : nil,
      out: run.outputs[0].mutableFloats,
      on: run.workers
    )
  }
}
