/// How much the parts of a model matter to what it computes, measured by running it over text.
///
/// Parts are named by the linear layer that reads them, in the checkpoint's spelling, so that a
/// measurement can be told without knowing what families call their modules.
public struct Importance: Sendable, Hashable, Codable {
  /// What is known of the experts behind one router.
  public struct Experts: Sendable, Hashable, Codable {
    /// How many tokens were routed.
    public var tokens: Int
    /// How many tokens reached each expert.
    public var counts: [Int]
    /// The sum over the tokens that reached each expert of its routing weight.
    public var weights: [Double]
    /// The sum over these tokens of the routing weight times the length of what the expert gave.
    public var contributions: [Double]
    /// How alike two experts are routed, [experts, experts]: the cosine over all tokens between what the
    /// router gives them, less each token's mean; empty where it was not measured.
    public var likenesses: [Double] = []

    /// Nothing was routed yet.
    public init(experts: Int) {
      tokens = 0
      counts = Array(repeating: 0, count: experts)
      weights = Array(repeating: 0, count: experts)
      contributions = Array(repeating: 0, count: experts)
    }

    /// How alike two experts are routed, from -1 to 1; 0 where it was not measured.
    public func likeness(_ first: Int, _ second: Int) -> Double {
      likenesses.isEmpty ? 0 : likenesses[first * counts.count + second]
    }

    /// The mean over the tokens that reach an expert of its routing weight times the length of what
    /// it gives (REAP: Lasby et al., 2025); 0 where no token does.
    public var scores: [Double] {
      zip(contributions, counts).map { $1 == 0 ? 0 : $0 / Double($1) }
    }
  }

  /// What leaving each block out costs: nats of divergence of the next token's distribution for a
  /// decoder, 1 - cosine of the sentence's vector for an encoder; empty where it was not measured.
  public var layers: [Double] = []
  /// The mean magnitude of each neuron of a feed-forward layer, by the layer that reads them, such
  /// as `model.layers.0.mlp.down_proj`.
  public var neurons: [String: [Double]] = [:]
  /// The mean length of what each query head gives, by the layer that reads them, such as
  /// `model.layers.0.self_attn.o_proj`.
  public var heads: [String: [Double]] = [:]
  /// The mean magnitude of each channel of the residual stream behind a norm, summed over all norms.
  public var channels: [Double] = []
  /// What is known of experts, by the router's module, such as `model.layers.0.mlp.gate`.
  public var experts: [String: Experts] = [:]

  /// Nothing was measured yet.
  public init() {}
}
