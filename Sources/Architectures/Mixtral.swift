import KaratGraphs

extension Architecture {
  /// Mixtral (Jiang et al., 2024): Mistral with a mixture of experts in every block.
  ///
  /// Weights are the softmax over the chosen experts.
  static let mixtral = Architecture(
    names: ["MixtralForCausalLM"],
    modelType: "mixtral",
    trace: { config throws(ConfigError) in
      let decoder = try Decoder(config, epsilon: 1e-5)
      var attention = try GroupedQueryAttention(config, in: decoder, keyValueHeads: 8)
      attention.windows = try config.mixtralWindows(layers: decoder.layers)
      let experts = try config.size("num_local_experts", atMost: Config.mostExperts)
      try config.checkRouter()
      var expert = try GatedFeedForward(config, in: decoder)
      expert.names = .init(gate: "w1", up: "w3", down: "w2")
      let mixture = MixtureOfExperts(
        experts: experts,
        route: Route(
          chosen: try config.chosenExperts(of: experts),
          score: .softmax,
          normalizes: true
        ),
        expert: expert
      )
      return try decoder.trace(config, attention: attention.trace) { x, block, _ in
        mixture.trace(x, at: block / "block_sparse_moe")
      }
    },
    isSpare: Decoder.isSpare
  )
}
