import KaratGraphs
import KaratKernels
import KaratTensors
import Testing

/// What each operation makes of the types it reads, and how it refuses those it cannot read.
@Suite struct ShapeRules {
  private static let ids = ValueType(.i32, [.batch, .length])
  private static func state(_ features: Int, _ dtype: DType = .f32) -> ValueType {
    ValueType(dtype, [.batch, .length, .fixed(features)])
  }

  private static let perToken = Scheme(bits: 8, isSymmetric: true, granularity: .token)
  private static let symmetric = Scheme(bits: 8, isSymmetric: true, granularity: .tensor)
  private static let rope = Op.rope(
    RoPE(headSize: 4, frequencies: RotationFrequencies(base: 10_000))
  )
  private static let attention = Op.attention(
    Attention(heads: 4, keyValueHeads: 2, scale: 0.5, isCausal: true)
  )

  struct Rule: Sendable, CustomTestStringConvertible {
    let op: Op
    let inputs: [ValueType]
    let result: String

    init(_ op: Op, _ inputs: [ValueType], _ result: String) {
      (self.op, self.inputs, self.result) = (op, inputs, result)
    }

    var testDescription: String { "\(op.operation.name): \(inputs)" }

    /// The type that comes out, or the message.
    var found: String {
      do {
        return try op.operation.resultTypes(of: inputs).map(\.description).joined(separator: ", ")
      } catch {
        return error.message
      }
    }
  }

  @Test(arguments: [
    Rule(.embedding(Embedding()), [ids, ValueType(.f32, 10, 6)], "F32[batch, length, 6]"),
    Rule(.linear(Linear()), [state(6), ValueType(.f32, 3, 6)], "F32[batch, length, 3]"),
    Rule(
      .linear(Linear()),
      [state(6), ValueType(.f32, 3, 6), ValueType(.f32, 3)],
      "F32[batch, length, 3]"
    ),
    Rule(
      .rmsNorm(RMSNorm(epsilon: 1e-6)),
      [state(6), ValueType(.f32, 6)],
      "F32[batch, length, 6]"
    ),
    // One norm for all heads, each of the weight's length.
    Rule(
      .rmsNorm(RMSNorm(epsilon: 1e-6)),
      [state(6), ValueType(.f32, 2)],
      "F32[batch, length, 6]"
    ),
    Rule(rope, [state(8)], "F32[batch, length, 8]"),
    Rule(
      .rope(RoPE(headSize: 3, rotated: 1..<3, frequencies: RotationFrequencies(base: 10_000))),
      [state(6)],
      "F32[batch, length, 6]"
    ),
    Rule(attention, [state(16), state(8), state(8)], "F32[batch, length, 16]"),
    // Values may have heads of another size than keys.
    Rule(attention, [state(16), state(8), state(6)], "F32[batch, length, 12]"),
    Rule(attention, [state(16), state(8), state(8), ids], "F32[batch, length, 16]"),
    Rule(
      .layerNorm(LayerNorm(epsilon: 1e-12)),
      [state(6), ValueType(.f32, 6), ValueType(.f32, 6)],
      "F32[batch, length, 6]"
    ),
    Rule(.activation(Activation(.gelu)), [state(6)], "F32[batch, length, 6]"),
    Rule(.positions(Positions()), [ids], "I32[batch, length]"),
    Rule(.firstToken(FirstToken()), [state(6)], "F32[batch, 6]"),
    Rule(.pooling(Pooling(.mean)), [state(6), ids], "F32[batch, 6]"),
    Rule(.unitLength(UnitLength()), [state(6)], "F32[batch, length, 6]"),
    Rule(.swiglu(SwiGLU()), [state(6), state(6)], "F32[batch, length, 6]"),
    Rule(.add(Add()), [state(6), state(6)], "F32[batch, length, 6]"),
    Rule(
      .quantize(Quantize(.int8Activations)),
      [state(6), ValueType(.f32, 1), ValueType(.i8, 1)],
      "U8[batch, length, 6]"
    ),
    Rule(.quantize(Quantize(symmetric)), [state(6), ValueType(.f32, 1)], "U8[batch, length, 6]"),
    Rule(
      .dequantize(Dequantize(.int8Activations)),
      [state(6, .u8), ValueType(.f32, 1), ValueType(.i8, 1)],
      "F32[batch, length, 6]"
    ),
    Rule(
      .dequantize(Dequantize(.int8Weights)),
      [ValueType(.i8, 3, 6), ValueType(.f32, 3, 1)],
      "F32[3, 6]"
    ),
    Rule(
      .integerLinear(IntegerLinear(activation: .int8Activations, hasBias: true)),
      [
        state(6, .u8), ValueType(.i8, 3, 6), ValueType(.f32, 3, 1), ValueType(.f32, 1),
        ValueType(.i8, 1), ValueType(.f32, 3),
      ],
      "F32[batch, length, 3]"
    ),
    Rule(
      .integerLinear(IntegerLinear(activation: symmetric, hasBias: false)),
      [state(6, .u8), ValueType(.i8, 3, 6), ValueType(.f32, 3, 1), ValueType(.f32, 1)],
      "F32[batch, length, 3]"
    ),
    Rule(
      .quantize(Quantize(.int8Tokens)),
      [state(6)],
      "U8[batch, length, 6], F32[batch, length, 1]"
    ),
    Rule(
      .dequantize(Dequantize(.int8Tokens)),
      [state(6, .u8), state(1)],
      "F32[batch, length, 6]"
    ),
    Rule(
      .integerLinear(IntegerLinear(activation: .int8Tokens, hasBias: true)),
      [
        state(6, .u8), ValueType(.i8, 3, 6), ValueType(.f32, 3, 1), state(1), ValueType(.f32, 3),
      ],
      "F32[batch, length, 3]"
    ),
  ])
  func accepts(_ rule: Rule) {
    #expect(rule.found == rule.result)
  }

  @Test(arguments: [
    Rule(
      .embedding(Embedding()),
      [state(6), ValueType(.f32, 10, 6)],
      "an embedding reads I32 ids and an F32 table of two extents, not [F32[batch, length, 6], F32[10, 6]]."
    ),
    Rule(
      .embedding(Embedding()),
      [ids, ValueType(.i8, 10, 6)],
      "an embedding reads I32 ids and an F32 table of two extents, not [I32[batch, length], I8[10, 6]]."
    ),
    Rule(
      .linear(Linear()),
      [state(5), ValueType(.f32, 3, 6)],
      "a linear layer cannot multiply F32[batch, length, 5] by a weight F32[3, 6]: the innermost extents must agree."
    ),
    Rule(
      .linear(Linear()),
      [state(6)],
      "a linear layer cannot multiply F32[batch, length, 6] by a weight that is not there: the innermost extents must agree."
    ),
    Rule(
      .linear(Linear()),
      [state(6), ValueType(.f32, 3, 6), ValueType(.f32, 4)],
      "a bias of F32[4] does not fit 3 output features."
    ),
    Rule(
      .rmsNorm(RMSNorm(epsilon: 1e-6)),
      [state(6), ValueType(.f32, 5)],
      "a norm's weight must match its input's innermost extent: [F32[batch, length, 6], F32[5]]."
    ),
    Rule(
      .layerNorm(LayerNorm(epsilon: 1e-12)),
      [state(6), ValueType(.f32, 6)],
      "a norm's weight and bias must match its input's innermost extent: [F32[batch, length, 6], F32[6]]."
    ),
    Rule(
      .activation(Activation(.gelu)),
      [ids],
      "an activation needs one F32 value, not [I32[batch, length]]."
    ),
    Rule(
      .positions(Positions()),
      [state(6)],
      "positions are those of I32 ids [batch, length], not [F32[batch, length, 6]]."
    ),
    Rule(
      .firstToken(FirstToken()),
      [ids],
      "a first token is that of F32 sequences, not [I32[batch, length]]."
    ),
    Rule(
      .pooling(Pooling(.mean)),
      [state(6)],
      "pooling needs F32 sequences and an I32 mask of their tokens: [F32[batch, length, 6]]."
    ),
    Rule(
      .unitLength(UnitLength()),
      [ids],
      "vectors of length 1 are made of one F32 value, not [I32[batch, length]]."
    ),
    Rule(rope, [state(6)], "heads of 4 cannot be rotated in [F32[batch, length, 6]]."),
    Rule(
      .rope(RoPE(headSize: 3, frequencies: RotationFrequencies(base: 10_000))),
      [state(6)],
      "heads of 3 cannot be rotated in [F32[batch, length, 6]]."
    ),
    Rule(
      .rope(RoPE(headSize: 3, rotated: 2..<4, frequencies: RotationFrequencies(base: 10_000))),
      [state(6)],
      "heads of 3 cannot be rotated in [F32[batch, length, 6]]."
    ),
    Rule(
      attention,
      [state(16), state(16), state(8)],
      "4 query heads over 2 key and value heads do not fit [F32[batch, length, 16], F32[batch, length, 16], F32[batch, length, 8]]."
    ),
    Rule(
      attention,
      [state(16), ValueType(.f32, 5, 7, 8), state(8)],
      "4 query heads over 2 key and value heads do not fit [F32[batch, length, 16], F32[5, 7, 8], F32[batch, length, 8]]."
    ),
    Rule(
      .swiglu(SwiGLU()),
      [state(6), state(7)],
      "an elementwise operation needs two F32 values of one shape, not [F32[batch, length, 6], F32[batch, length, 7]]."
    ),
    Rule(
      .add(Add()),
      [state(6, .u8), state(6, .u8)],
      "an elementwise operation needs two F32 values of one shape, not [U8[batch, length, 6], U8[batch, length, 6]]."
    ),
    Rule(
      .quantize(Quantize(.int8Activations)),
      [state(6), ValueType(.f32, 1)],
      "activations become 8-bit codes by one scale and zero point: [F32[batch, length, 6], F32[1]]."
    ),
    Rule(
      .dequantize(Dequantize(.int8Weights)),
      [ValueType(.i8, 3, 6), ValueType(.f32, 3)],
      "INT8 weights need one F32 scale for each row: [I8[3, 6], F32[3]]."
    ),
    Rule(
      .dequantize(Dequantize(perToken)),
      [state(6, .u8)],
      "tokens' codes need one F32 scale for each token: [U8[batch, length, 6]]."
    ),
    Rule(
      .integerLinear(IntegerLinear(activation: symmetric, hasBias: false)),
      [state(5, .u8), ValueType(.i8, 3, 6), ValueType(.f32, 3, 1), ValueType(.f32, 1)],
      "codes, weights, scales and zero points do not fit together: [U8[batch, length, 5], I8[3, 6], F32[3, 1], F32[1]]."
    ),
    Rule(
      .quantize(Quantize(.int8Tokens)),
      [state(6), ValueType(.f32, 1)],
      "tokens become 8-bit codes by scales of their own: [F32[batch, length, 6], F32[1]]."
    ),
    Rule(
      .integerLinear(IntegerLinear(activation: .int8Tokens, hasBias: false)),
      [state(6, .u8), ValueType(.i8, 3, 6), ValueType(.f32, 3, 1), ValueType(.f32, 1)],
      "codes, weights, scales and zero points do not fit together: [U8[batch, length, 6], I8[3, 6], F32[3, 1], F32[1]]."
    ),
  ])
  func refuses(_ rule: Rule) {
    #expect(rule.found == rule.result)
  }

  @Test func aSumThatCouldOverflowIsRefused() {
    let features = 200_000
    let rule = Rule(
      .integerLinear(IntegerLinear(activation: Self.symmetric, hasBias: false)),
      [
        Self.state(features, .u8), ValueType(.i8, 3, features), ValueType(.f32, 3, 1),
        ValueType(.f32, 1),
      ],
      ""
    )
    // 255 · 128 · 65793 is the last product sum below 2³¹.
    #expect(rule.found.hasPrefix("200000 input features could overflow a 32-bit sum; at most "))
    #expect(rule.found.hasSuffix(" cannot. Leave this layer in float: add it to ignore."))
  }
}
