import KaratBytes
import KaratGraphs

extension Architecture {
  /// DeepSeek-V2 (DeepSeek-AI, 2024): latent attention and fine-grained experts, chosen by the
  /// softmax over all, from the groups with the best of them where there are groups.
  static let deepSeekV2 = Architecture(
    names: ["DeepseekV2ForCausalLM"],
    modelType: "deepseek_v2",
    trace: { config throws(ConfigError) in
      // Implementations differ in what they make of it; no model that was published sets it.
      try config.refuse("norm_topk_prob", unless: false)
      try config.refuse("scoring_func", unless: "softmax")
      try config.refuse("rope_interleave", unless: true)
      let method = try config.text("topk_method") ?? "greedy"
      var grouping: Route.Grouping?
      switch method {
      case "greedy": break
      case "group_limited_greedy": grouping = try config.expertGroups(rank: .greatest)
      default:
        throw ConfigError(
          file: config.file,
          "'topk_method' is '\(method)', which is not supported for this architecture. Supported: "
            + "greedy, group_limited_greedy.",
          isUnsupported: true
        )
      }
      return try DeepSeek(
        config,
        isInterleaved: true,
        score: .softmax,
        grouping: grouping,
        normalizes: false
      ).trace(config)
    },
    isSpare: Decoder.isSpare
  )

  /// DeepSeek-V3 and R1 (DeepSeek-AI, 2024): experts are chosen by biased sigmoids, from the groups
  /// whose two best are greatest together; layers behind the last predict further tokens.
  static let deepSeekV3 = Architecture(
    names: ["DeepseekV3ForCausalLM"],
    modelType: "deepseek_v3",
    trace: { config throws(ConfigError) in
      try config.refuse("topk_method", unless: "noaux_tc")
      try config.refuse("scoring_func", unless: "sigmoid")
      var model = try DeepSeek(
        config,
        isInterleaved: try config.flag("rope_interleave", default: true),
        score: .sigmoid,
        grouping: try config.expertGroups(rank: .twoGreatest),
        normalizes: try config.flag("norm_topk_prob", default: true)
      )
      model.mixture.isBiased = true
      return try model.trace(config)
    },
    isSpare: Decoder.isSpare
  )
}

/// What the second and third generation share.
private struct DeepSeek {
  let decoder: Decoder
  let attention: MultiHeadLatentAttention
  let dense: GatedFeedForward
  var mixture: MixtureOfExperts
  /// Layers up to this one are dense.
  let firstSparse: Int
  /// From then on, every so many layers are sparse.
  let frequency: Int

  init(
    _ config: Config,
    isInterleaved: Bool,
    score: Route.Score,
    grouping: Route.Grouping?,
    normalizes: Bool
  ) throws(ConfigError) {
    decoder = try Decoder(config)
    attention = try MultiHeadLatentAttention(config, in: decoder, isInterleaved: isInterleaved)
    dense = try GatedFeedForward(config, in: decoder)
    try config.refuse("mlp_bias", unless: false)
    try config.checkRouter()
    firstSparse = try config.count("first_k_dense_replace")
    frequency = try config.size("moe_layer_freq", default: 1)
    let experts = try config.size("n_routed_experts", atMost: Config.mostExperts)
    let intermediate = try config.size("moe_intermediate_size")
    mixture = MixtureOfExperts(
      experts: experts,
      route: Route(
        chosen: try config.chosenExperts(of: experts),
        score: score,
        grouping: grouping,
        normalizes: normalizes,
        scale: try config.positive("routed_scaling_factor", default: 1)
      ),
      expert: GatedFeedForward(hidden: decoder.hidden, intermediate: intermediate)
    )
    let shared = try config.count("n_shared_experts")
    if shared > 0 {
      guard shared <= Config.largestSize / intermediate else {
        throw config.fault("'n_shared_experts' is \(shared), of \(intermediate) features each.")
      }
      mixture.shared = GatedFeedForward(
        hidden: decoder.hidden,
        intermediate: shared * intermediate
      )
    }
  }

  func trace(_ config: Config) throws(ConfigError) -> Graph {
    let prediction = try MultiTokenPrediction(config, in: decoder)
    return try decoder.trace(
      config,
      attention: attention.trace,
      feedForward: { x, block, layer in
        let isSparse = layer >= firstSparse && layer % frequency == 0
        return isSparse ? mixture.trace(x, at: block / "mlp") : dense.trace(x, at: block / "mlp")
      },
      behind: prediction.trace
    )
  }
}

extension Config {
  /// Groups of experts: `n_group` of equal size, of which a token chooses from `topk_group`; nil
  /// where it chooses from all.
  fileprivate func expertGroups(rank: Route.Grouping.Rank) throws(ConfigError) -> Route.Grouping? {
    let experts = try size("n_routed_experts", atMost: Config.mostExperts)
    let count = try size("n_group", default: 1)
    let kept = try size("topk_group", default: count)
    let chosen = try chosenExperts(of: experts)
    guard experts % count == 0, kept <= count, chosen <= experts / count * kept else {
      throw fault(
        "'num_experts_per_tok' \(chosen) cannot be chosen from 'topk_group' \(kept) of 'n_group' "
          + "\(count) equal groups of 'n_routed_experts' \(experts)."
      )
    }
    return kept == count ? nil : Route.Grouping(count: count, kept: kept, rank: rank)
  }
}
