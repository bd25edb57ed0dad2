import KaratGraphs

extension Architecture {
  /// Mistral 7B and its like (Jiang et al., 2023): Llama whose layers all see a window of tokens.
  static let mistral = Architecture(
    names: ["MistralForCausalLM"],
    modelType: "mistral",
    trace: { config throws(ConfigError) in
      let decoder = try Decoder(config)
      var attention = try GroupedQueryAttention(config, in: decoder, keyValueHeads: 8)
      attention.windows = try config.mistralWindows(layers: decoder.layers)
      let feedForward = try GatedFeedForward(config, in: decoder)
      return try decoder.trace(config, attention: attention.trace, feedForward: feedForward.trace)
    },
    isSpare: Decoder.isSpare
  )
}
