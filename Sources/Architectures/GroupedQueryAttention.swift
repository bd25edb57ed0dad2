import KaratBytes
package import KaratGraphs

/// Causal self-attention in which several query heads share a head of keys and values (Ainslie et
/// al., 2023), with rotary positions: `self_attn` of most decoders.
package struct GroupedQueryAttention {
  /// Which projections have a bias.
  package struct Biases {
    package var queriesKeysAndValues = false
    package var output = false
  }

  package let hidden: Int
  package let heads: Int
  package let keyValueHeads: Int
  package let headSize: Int
  package let rotation: RotationFrequencies
  package var biases = Biases()
  /// Added to the mean square of each head of queries and keys, which are normalized before they
  /// turn; nil where they are not normalized.
  package var headNormEpsilon: Float?
  /// How many tokens back each layer sees, its own included; nil for all.
  package var windows: [Int?] = []

  /// Reads the sizes and the rotation.
  ///
  /// - Parameters:
  ///   - config: the model's.
  ///   - decoder: what it says of all decoders.
  ///   - absentKeyValueHeads: how many there are where the config does not say; nil for as many as query
  ///     heads, which null always means.
  ///   - absentHeadSize: elements of a head where the config does not say; nil for an even share of the
  ///     hidden size, which null always means.
  /// - Throws: `ConfigError` where sizes do not fit together.
  package init(
    _ config: Config,
    in decoder: Decoder,
    keyValueHeads absentKeyValueHeads: Int? = nil,
    headSize absentHeadSize: Int? = nil
  ) throws(ConfigError) {
    hidden = decoder.hidden
    heads = try config.size("num_attention_heads")
    keyValueHeads = try config.size(
      "num_key_value_heads",
      default: heads,
      whereAbsent: absentKeyValueHeads
    )
    headSize = try config.size(
      "head_dim",
      default: max(hidden / heads, 1),
      whereAbsent: absentHeadSize
    )
    rotation = try config.rotation()
    try config.refuse("partial_rotary_factor", unless: 1, 1.0)
    guard heads % keyValueHeads == 0 else {
      throw config.fault(
        "\(heads) query heads ('num_attention_heads') cannot share \(keyValueHeads) key and value "
          + "heads ('num_key_value_heads') evenly."
      )
    }
    guard headSize % 2 == 0, headSize <= Config.largestSize / heads else {
      throw config.fault(
        "'head_dim' is \(headSize); an even number is needed for rotation, of at most "
          + "\(Config.largestSize) over all heads."
      )
    }
  }

  /// Traces the attention of a block.
  package func trace(_ x: Value, _ block: Scope, _ layer: Int) -> Value {
    let w = block / "self_attn"
    let rope = Op.rope(RoPE(headSize: headSize, frequencies: rotation))
    let (wide, narrow) = (heads * headSize, keyValueHeads * headSize)
    let bias = biases.queriesKeysAndValues
    let q = normalized(linear(x, w / "q_proj", hidden, wide, bias: bias), w / "q_norm")
      .through(rope, at: w)
    let k = normalized(linear(x, w / "k_proj", hidden, narrow, bias: bias), w / "k_norm")
      .through(rope, at: w)
    let v = linear(x, w / "v_proj", hidden, narrow, bias: bias)
    let attention = Attention(
      heads: heads,
      keyValueHeads: keyValueHeads,
      scale: 1 / Float(headSize).squareRoot(),
      isCausal: true,
      window: windows.indices.contains(layer) ? windows[layer] : nil
    )
    let mixed = q.through(.attention(attention), k, v, at: w)
    return linear(mixed, w / "o_proj", wide, hidden, bias: biases.output)
  }

  private func normalized(_ heads: Value, _ w: Scope) -> Value {
    guard let headNormEpsilon else { return heads }
    let norm = RMSNorm(epsilon: headNormEpsilon)
    return heads.through(.rmsNorm(norm), w.parameter("weight", headSize), at: w)
  }
}
