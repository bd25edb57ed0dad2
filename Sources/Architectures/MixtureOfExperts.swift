import KaratBytes
package import KaratGraphs

/// A feed-forward layer of which each token reaches a few of many (Shazeer et al., 2017; fine-grained
/// and with shared experts: Dai et al., 2024): `mlp` of a sparse block.
///
/// Each expert is traced as the linear layers that it is in the checkpoint, over the rows of the
/// tokens that reach it, so passes treat it as they treat any layer.
package struct MixtureOfExperts {
  package let hidden: Int
  package let experts: Int
  package let route: Route
  /// Whether `gate.e_score_correction_bias` enters the choice of experts.
  package var isBiased = false
  /// One expert.
  package var expert: GatedFeedForward
  /// The experts that every token reaches, as one layer, where there are any.
  package var shared: GatedFeedForward?

  package init(experts: Int, route: Route, expert: GatedFeedForward) {
    hidden = expert.hidden
    self.experts = experts
    self.route = route
    self.expert = expert
  }

  /// Traces the layer at a place of the checkpoint.
  package func trace(_ x: Value, at w: Scope) -> Value {
    let gate = w / "gate"
    let logits = linear(x, gate, hidden, experts)
    let bias = isBiased ? [gate.parameter("e_score_correction_bias", experts)] : []
    let weights = logits.through(.route(route), bias, at: gate)
    let (offsets, slots) = (weights.result(2), weights.result(3))
    let outputs = (0..<experts).map { index in
      let place = w / "experts" / "\(index)"
      let rows = ExpertRows(expert: index)
      return expert.trace(x.through(.expertRows(rows), offsets, slots, at: place), at: place)
    }
    let mixed = weights.through(
      .combineExperts(CombineExperts()),
      [offsets, slots] + outputs,
      at: w
    )
    return shared.map { mixed + $0.trace(x, at: w / "shared_experts") } ?? mixed
  }
}

extension Config {
  /// The most experts that a layer may have.
  static let mostExperts = 1 << 16

  /// How many experts a token reaches, of so many.
  func chosenExperts(of experts: Int) throws(ConfigError) -> Int {
    let chosen = try size("num_experts_per_tok")
    guard chosen <= experts else {
      throw fault("'num_experts_per_tok' is \(chosen); a layer has \(experts) experts.")
    }
    return chosen
  }

  /// Refuses what routers of other models do and this one's does not; what concerns training alone
  /// may stand there.
  func checkRouter() throws(ConfigError) {
    try refuse("router_jitter_noise", unless: 0, 0.0)
    try refuse("moe_router_logit_softcapping", "router_bias", "moe_router_enable_expert_bias")
  }
}
