/// What one operation of a graph needs: a shape rule, an evaluation, and how it prints.
///
/// Operations are coarse: a fused attention or a whole linear layer is one. Speed and gradients
/// live inside them; graphs stay small enough to print and read.
package protocol Operation: Sendable, Hashable {
  /// The name it prints under.
  var name: String { get }

  /// The options it prints with.
  var attributes: [(name: String, value: String)] { get }

  /// The types of its results.
  ///
  /// - Throws: `GraphError` where it cannot read values of these types.
  func resultTypes(of inputs: [ValueType]) throws(GraphError) -> [ValueType]

  /// Which of its inputs, where they are parameters, it wants packed once instead of as they are.
  var packedInput: Int? { get }

  /// Computes its results from its inputs.
  func evaluate(_ run: Evaluation)
}

extension Operation {
  package var attributes: [(name: String, value: String)] { [] }
  package var packedInput: Int? { nil }
}

/// The operations that graphs are made of.
public enum Op: Sendable, Hashable {
  /// A value that every run brings along, such as token ids.
  case input(Input)
  /// A tensor of the checkpoint.
  case parameter(Parameter)
  /// Rows of a table by index.
  case embedding(Embedding)
  /// A matrix product with optional bias.
  case linear(Linear)
  /// Root-mean-square normalization.
  case rmsNorm(RMSNorm)
  /// Rotary position embedding.
  case rope(RoPE)
  /// Scaled dot-product attention with grouped heads.
  case attention(Attention)
  /// A gated activation: SiLU of one value times another.
  case swiglu(SwiGLU)
  /// An elementwise sum.
  case add(Add)
  /// Real numbers to integer codes.
  case quantize(Quantize)
  /// Integer codes to real numbers.
  case dequantize(Dequantize)
  /// A matrix product of integer codes.
  case integerLinear(IntegerLinear)

  package var operation: any Operation {
    switch self {
    case .input(let operation): operation
    case .parameter(let operation): operation
    case .embedding(let operation): operation
    case .linear(let operation): operation
    case .rmsNorm(let operation): operation
    case .rope(let operation): operation
    case .attention(let operation): operation
    case .swiglu(let operation): operation
    case .add(let operation): operation
    case .quantize(let operation): operation
    case .dequantize(let operation): operation
    case .integerLinear(let operation): operation
    }
  }
}
