import KaratBytes
import KaratGraphs

extension Architecture {
  /// Qwen3's mixtures of experts (Yang et al., 2025): Qwen3 whose blocks, but for some, choose among
  /// experts by the softmax over all of them.
  static let qwen3Mixture = Architecture(
    names: ["Qwen3MoeForCausalLM"],
    modelType: "qwen3_moe",
    trace: { config throws(ConfigError) in
      let decoder = try Decoder(config)
      let attention = try GroupedQueryAttention.qwen3(config, in: decoder, keyValueHeads: 4)
      let dense = try GatedFeedForward(config, in: decoder)
      let key = config.isPresent("num_experts") ? "num_experts" : "num_local_experts"
      let experts = try config.size(key, atMost: Config.mostExperts)
      try config.checkRouter()
      let mixture = MixtureOfExperts(
        experts: experts,
        route: Route(
          chosen: try config.chosenExperts(of: experts),
          score: .softmax,
          normalizes: try config.flag("norm_topk_prob", default: false)
        ),
        expert: GatedFeedForward(
          hidden: decoder.hidden,
          intermediate: try config.size("moe_intermediate_size")
        )
      )
      let step = try config.size("decoder_sparse_step", default: 1)
      let denseLayers = Set(try config.integers("mlp_only_layers"))
      return try decoder.trace(config, attention: attention.trace) { x, block, layer in
        let isSparse = (layer + 1) % step == 0 && !denseLayers.contains(layer)
        return isSparse
          ? mixture.trace(x, at: block / "mlp") : dense.trace(x, at: block / "mlp")
      }
    },
    isSpare: Decoder.isSpare
  )
}
