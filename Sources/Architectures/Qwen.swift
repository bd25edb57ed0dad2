import KaratGraphs

extension Architecture {
  /// Qwen2 and Qwen2.5 (Yang et al., 2024): Llama with biases of queries, keys and values, and upper
  /// layers that may see a window of tokens.
  static let qwen2 = Architecture(
    names: ["Qwen2ForCausalLM"],
    modelType: "qwen2",
    trace: { config throws(ConfigError) in
      let decoder = try Decoder(config)
      var attention = try GroupedQueryAttention(config, in: decoder, keyValueHeads: 32)
      attention.biases.queriesKeysAndValues = true
      attention.windows = try config.qwenWindows(layers: decoder.layers)
      let feedForward = try GatedFeedForward(config, in: decoder)
      return try decoder.trace(config, attention: attention.trace, feedForward: feedForward.trace)
    },
    isSpare: Decoder.isSpare
  )

  /// Qwen3 (Yang et al., 2025): every head of queries and keys is normalized before it turns.
  static let qwen3 = Architecture(
    names: ["Qwen3ForCausalLM"],
    modelType: "qwen3",
    trace: { config throws(ConfigError) in
      let decoder = try Decoder(config)
      let attention = try GroupedQueryAttention.qwen3(config, in: decoder)
      let feedForward = try GatedFeedForward(config, in: decoder)
      return try decoder.trace(config, attention: attention.trace, feedForward: feedForward.trace)
    },
    isSpare: Decoder.isSpare
  )
}

extension GroupedQueryAttention {
  /// The attention of Qwen3, which its mixture of experts shares.
  ///
  /// - Parameters:
  ///   - config: the model's.
  ///   - decoder: what it says of all decoders.
  ///   - keyValueHeads: how many there are where the config does not say.
  /// - Returns: the attention, its heads normalized.
  /// - Throws: `ConfigError` where sizes do not fit together.
  package static func qwen3(
    _ config: Config,
    in decoder: Decoder,
    keyValueHeads: Int = 32
  ) throws(ConfigError) -> GroupedQueryAttention {
    var attention = try GroupedQueryAttention(
      config,
      in: decoder,
      keyValueHeads: keyValueHeads,
      headSize: 128
    )
    let hasBias = try config.flag("attention_bias", default: false)
    attention.biases = .init(queriesKeysAndValues: hasBias, output: hasBias)
    attention.headNormEpsilon = decoder.epsilon
    attention.windows = try config.qwenWindows(layers: decoder.layers)
    return attention
  }
}
