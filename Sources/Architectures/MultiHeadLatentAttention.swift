import KaratBytes
package import KaratGraphs

/// Causal self-attention whose keys and values are made of one latent for each token (DeepSeek-AI,
/// 2024): `self_attn` of DeepSeek's models since the second.
///
/// Queries may be made of a latent of their own. Positions enter by a part of each query, and by a
/// key that all heads share, which turn; the rest does not.
package struct MultiHeadLatentAttention {
  /// Added to the mean square of latents, whatever the config says of the other norms.
  static let latentEpsilon: Float = 1e-6

  package let hidden: Int
  package let heads: Int
  /// Elements of a query's latent, or nil where queries are made of the state itself.
  package let queryRank: Int?
  /// Elements of the latent of keys and values.
  package let rank: Int
  /// Elements of a query that meet the latent, and of those that turn.
  package let contentSize, rotarySize: Int
  package let valueSize: Int
  package let rotation: RotationFrequencies
  /// Whether pairs that turn lie side by side, or half a head apart.
  package let isInterleaved: Bool
  /// What products of queries and keys are multiplied by.
  package let scale: Float
  /// Whether projections from and to the hidden state have biases.
  package let hasBiases: Bool

  package init(
    _ config: Config,
    in decoder: Decoder,
    isInterleaved: Bool
  ) throws(ConfigError) {
    hidden = decoder.hidden
    heads = try config.size("num_attention_heads")
    queryRank = config.isPresent("q_lora_rank") ? try config.size("q_lora_rank") : nil
    rank = try config.size("kv_lora_rank")
    contentSize = try config.size("qk_nope_head_dim")
    rotarySize = try config.size("qk_rope_head_dim")
    valueSize = try config.size("v_head_dim")
    rotation = try config.rotation()
    self.isInterleaved = isInterleaved
    hasBiases = try config.flag("attention_bias", default: false)
    let amplitude = try config.latentAmplitude()
    scale = 1 / Float(contentSize + rotarySize).squareRoot() * amplitude * amplitude
    let keyValueHeads = try config.size("num_key_value_heads", default: heads)
    guard keyValueHeads == heads else {
      throw config.fault(
        "'num_key_value_heads' is \(keyValueHeads); latents serve as many heads as there are query "
          + "heads, \(heads)."
      )
    }
    guard rotarySize % 2 == 0 else {
      throw config.fault("'qk_rope_head_dim' is \(rotarySize); rotation needs an even number.")
    }
    guard contentSize + rotarySize + valueSize <= Config.largestSize / heads else {
      throw config.fault(
        "'qk_nope_head_dim', 'qk_rope_head_dim' and 'v_head_dim' may be \(Config.largestSize) "
          + "together over all heads."
      )
    }
  }

  /// Traces the attention of a block.
  package func trace(_ x: Value, _ block: Scope, _ layer: Int) -> Value {
    let w = block / "self_attn"
    let rope = Op.rope(
      RoPE(
        headSize: rotarySize,
        isInterleaved: isInterleaved,
        frequencies: rotation
      )
    )
    let q = queries(x, w)
    let content = part(q, heads, from: 0, contentSize, w)
    let rotary = part(q, heads, from: contentSize, rotarySize, w).through(rope, at: w)

    let compressed = w / "kv_a_proj_with_mqa"
    let both = linear(x, compressed, hidden, rank + rotarySize, bias: hasBiases)
    let latent = norm(part(both, 1, from: 0, rank, compressed), w / "kv_a_layernorm", rank)
    let key = part(both, 1, from: rank, rotarySize, compressed).through(rope, at: w)

    let keysAndValues = w / "kv_b_proj"
    let mixed = content.through(
      .latentAttention(LatentAttention(heads: heads, scale: scale)),
      rotary,
      latent,
      key,
      keysAndValues.parameter("weight", heads * (contentSize + valueSize), rank),
      at: keysAndValues
    )
    return linear(mixed, w / "o_proj", heads * valueSize, hidden, bias: hasBiases)
  }

  private func queries(_ x: Value, _ w: Scope) -> Value {
    let width = heads * (contentSize + rotarySize)
    guard let queryRank else { return linear(x, w / "q_proj", hidden, width) }
    let compressed = linear(x, w / "q_a_proj", hidden, queryRank, bias: hasBiases)
    return linear(
      norm(compressed, w / "q_a_layernorm", queryRank),
      w / "q_b_proj",
      queryRank,
      width
    )
  }

  private func norm(_ x: Value, _ w: Scope, _ size: Int) -> Value {
    let norm = RMSNorm(epsilon: Self.latentEpsilon)
    return x.through(.rmsNorm(norm), w.parameter("weight", size), at: w)
  }

  private func part(_ x: Value, _ heads: Int, from first: Int, _ count: Int, _ w: Scope) -> Value {
    x.through(.headSlice(HeadSlice(heads: heads, from: first, count: count)), at: w)
  }
}

extension Config {
  /// What `mscale_all_dim` of a stretched rotation raises queries and keys by, each; 1 without.
  fileprivate func latentAmplitude() throws(ConfigError) -> Float {
    guard let settings = try rotationSettings(), let weight = try settings.number("mscale_all_dim"),
      weight != 0, try settings.rotationType() != "default"
    else { return 1 }
    let factor = try settings.positive("factor", default: nil)
    let amplitude = Float(RotationFrequencies.yarnAmplitude(factor: factor, weight: weight))
    guard amplitude.isFinite, amplitude > 0 else {
      throw settings.fault("'mscale_all_dim' is \(weight); a positive number is needed.")
    }
    return amplitude
  }
}
