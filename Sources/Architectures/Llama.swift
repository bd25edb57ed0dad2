import KaratGraphs

extension Architecture {
  /// Llama 1 to 3 (Touvron et al., 2023; Grattafiori et al., 2024) and its like, such as SmolLM.
  static let llama = Architecture(
    names: ["LlamaForCausalLM"],
    modelType: "llama",
    trace: { config throws(ConfigError) in
      let decoder = try Decoder(config)
      var attention = try GroupedQueryAttention(config, in: decoder)
      let hasBias = try config.flag("attention_bias", default: false)
      attention.biases = .init(queriesKeysAndValues: hasBias, output: hasBias)
      try config.refuse("sliding_window")
      attention.windows = try config.attentionWindows(nil, layers: decoder.layers) { _ in false }
      var feedForward = try GatedFeedForward(config, in: decoder)
      feedForward.hasBiases = try config.flag("mlp_bias", default: false)
      return try decoder.trace(config, attention: attention.trace, feedForward: feedForward.trace)
    },
    isSpare: Decoder.isSpare
  )
}
