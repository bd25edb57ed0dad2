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
  /// How the weight became codes.
  public let weights: Scheme
  /// Whether the last input is a bias.
  public let hasBias: Bool

  package init(activation: Scheme, weights: Scheme = .int8Weights, hasBias: Bool) {
    self.activation = activation
    self.weights = weights
    self.hasBias = hasBias
  }

  package var name: String { "integer_linear" }
  package var isTokenwise: Bool { true }
  package var attributes: [(name: String, value: String)] {
    [("symmetric", "\(activation.isSymmetric)")]
      + (activation.isDynamic ? [("granularity", activation.granularity.rawValue)] : [])
      + (weights.bits == 8 ? [] : [("weight_bits", "\(weights.bits)")])
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

  package var gradientReads: GradientReads? { .allInputs }

  /// The gradients of the numbers that the codes stand for; those of scales are found where the
  /// codes are made.
  package func differentiate(_ run: Differentiation) {
    let (codes, weight, gradient) = (run.inputs[0], run.inputs[1], run.gradient())
    if let target = run.target(0) {
      withUnsafeTemporaryAllocation(of: Float.self, capacity: weight.count) { numbers in
        guard let numbers = numbers.baseAddress else { return }
        dequantizeRows(
          codes: weight.signedCodes,
          rows: weight.rows,
          columns: weight.features,
          scales: run.inputs[2].floats,
          out: numbers,
          on: run.workers
        )
        let floats = Operand(dtype: .f32, shape: weight.shape, address: numbers)
        run.rounding.addInputGradient(gradient, floats, to: target, on: run.workers)
      }
    }
    if let target = run.target(1) {
      let range = ActivationCodes(activation, run.inputs.dropFirst(3))
      withUnsafeTemporaryAllocation(of: Float.self, capacity: codes.count) { numbers in
        guard let numbers = numbers.baseAddress else { return }
        dequantize(
          codes: codes.codes,
          rows: codes.rows,
          columns: codes.features,
          scales: range.scales,
          isPerRow: range.isPerRow,
          zeroPoint: range.zeroPoint,
          out: numbers,
          on: run.workers
        )
        let floats = Operand(dtype: .f32, shape: codes.shape, address: numbers)
        run.rounding.addWeightGradient(gradient, floats, to: target, on: run.workers)
      }
    }
    if hasBias, let bias = run.target(run.inputs.count - 1) {
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
