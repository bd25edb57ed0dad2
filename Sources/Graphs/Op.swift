/// What one operation of a graph needs: a shape rule, an evaluation, its gradient, and how it prints.
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

  /// Where it multiplies by a weight that passes may make codes of, if it does.
  var linearMap: LinearMap? { get }

  /// How many rows its routed results have, where it is the operation that selects them.
  func routedRows(_ inputs: [Operand]) -> Int?

  /// Whether a token's results depend on its own numbers alone, not on its place or on other tokens.
  var isTokenwise: Bool { get }

  /// Computes its results from its inputs.
  func evaluate(_ run: Evaluation)

  /// What `differentiate` reads, or nil where no gradient passes through the operation.
  var gradientReads: GradientReads? { get }

  /// Adds to the gradients of its inputs what the gradients of its outputs make of them.
  func differentiate(_ run: Differentiation)
}

extension Operation {
  package var attributes: [(name: String, value: String)] { [] }
  package var packedInput: Int? { nil }
  package var isTokenwise: Bool { false }
  package var linearMap: LinearMap? { nil }
  package func routedRows(_ inputs: [Operand]) -> Int? { nil }
  package var gradientReads: GradientReads? { nil }
  package func differentiate(_ run: Differentiation) {
    preconditionFailure("no gradient passes through \(name)")
  }
}

/// Which inputs of an operation are a linear layer's: weight [out, in] times an input, plus a bias.
package struct LinearMap: Sendable {
  /// The place of what is multiplied among the operation's inputs.
  package let input: Int
  /// The place of the weight.
  package let weight: Int
  /// The place of the bias, where the operation may have one.
  package let bias: Int?
  /// Whether what is multiplied may be codes with a range of their own.
  package let takesCodes: Bool
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
  /// Layer normalization.
  case layerNorm(LayerNorm)
  /// Rotary position embedding.
  case rope(RoPE)
  /// Scaled dot-product attention with grouped heads.
  case attention(Attention)
  /// Attention to keys and values that are linear maps of latents.
  case latentAttention(LatentAttention)
  /// The router of a mixture of experts.
  case route(Route)
  /// The rows of the tokens that reach one expert.
  case expertRows(ExpertRows)
  /// What experts give, summed for each token.
  case combineExperts(CombineExperts)
  /// The same part of each head.
  case headSlice(HeadSlice)
  /// Two values side by side.
  case concatenation(Concatenation)
  /// The tokens some places further on.
  case laterTokens(LaterTokens)
  /// A gated activation: SiLU of one value times another.
  case swiglu(SwiGLU)
  /// A function of each number.
  case activation(Activation)
  /// An elementwise sum.
  case add(Add)
  /// The positions of tokens.
  case positions(Positions)
  /// The first token of each sequence.
  case firstToken(FirstToken)
  /// One vector for each sequence.
  case pooling(Pooling)
  /// Vectors scaled to length 1.
  case unitLength(UnitLength)
  /// A weight to integer codes while it is trained.
  case roundWeight(RoundWeight)
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
    case .layerNorm(let operation): operation
    case .rope(let operation): operation
    case .attention(let operation): operation
    case .latentAttention(let operation): operation
    case .route(let operation): operation
    case .expertRows(let operation): operation
    case .combineExperts(let operation): operation
    case .headSlice(let operation): operation
    case .concatenation(let operation): operation
    case .laterTokens(let operation): operation
    case .swiglu(let operation): operation
    case .activation(let operation): operation
    case .add(let operation): operation
    case .positions(let operation): operation
    case .firstToken(let operation): operation
    case .pooling(let operation): operation
    case .unitLength(let operation): operation
    case .roundWeight(let operation): operation
    case .quantize(let operation): operation
    case .dequantize(let operation): operation
    case .integerLinear(let operation): operation
    }
  }
}
