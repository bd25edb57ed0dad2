import KaratBytes
import KaratGraphs

extension StudentConfig {
  /// Keeps so many experts of each sparse layer, as many of each group where tokens choose among
  /// groups first.
  mutating func keepExperts(_ count: Int) throws(StudentError) {
    guard let facts = teacher.blocks.first(where: { $0.route != nil }), let route = facts.route
    else {
      throw fault("a student of \(count) experts was asked for; the teacher has none.")
    }
    try check(count, "experts", of: facts.experts)
    var reachable = count
    if let groups = route.grouping {
      let least = groups.rank == .twoGreatest ? 2 : 1
      guard count % groups.count == 0, count / groups.count >= least else {
        throw fault(
          "a student of \(count) experts was asked for; tokens choose among 'n_group' "
            + "\(groups.count) equal groups of at least \(least). Ask for a multiple of "
            + "\(groups.count), at least \(least * groups.count)."
        )
      }
      reachable = count / groups.count * groups.kept
    } else if let groups = object["n_group"]?.int, groups > 1 {
      // All groups are chosen, so they say nothing.
      set("n_group", 1)
      set("topk_group", 1)
    }
    let keys = ["num_experts", "num_local_experts", "n_routed_experts"]
    for key in keys where object[key]?.int != nil { set(key, count) }
    if route.chosen > reachable {
      set("num_experts_per_tok", reachable)
      note(
        "a token reaches \(reachable) experts; it reached \(route.chosen) of the teacher's, which "
          + "the student's \(count) experts cannot give it."
      )
    }
  }

  /// Makes every layer dense, with so many neurons: the config of the family's dense sibling.
  mutating func makeDense(_ size: Int, layers: Int) throws(StudentError) {
    guard let facts = teacher.blocks.first(where: { $0.route != nil }) else {
      throw fault("a student without experts was asked for; the teacher has none.")
    }
    if teacher.blocks.contains(where: { $0.route == nil }) {
      let dense = object["intermediate_size"]?.int ?? 0
      guard size <= dense else {
        throw fault(
          "a dense student of \(size) neurons was asked for; the teacher's own dense layers have "
            + "\(dense), and all of a student's have as many. Ask for at most \(dense)."
        )
      }
    }
    set("intermediate_size", size)
    if !facts.isLatent {
      set("num_key_value_heads", object["num_key_value_heads"]?.int ?? facts.keyValueHeads)
    }
    switch teacher.architecture.modelType {
    case "mixtral":
      become("MistralForCausalLM", "mistral")
      // What their absence stands for differs.
      set("sliding_window", object["sliding_window"] ?? .null)
      set("rms_norm_eps", object["rms_norm_eps"] ?? 1e-5)
    case "qwen3_moe":
      become("Qwen3ForCausalLM", "qwen3")
      remove("decoder_sparse_step", "mlp_only_layers", "moe_intermediate_size", "norm_topk_prob")
    default:
      set("first_k_dense_replace", layers + teacher.predictionLayers)
      return
    }
    remove(
      "num_experts",
      "num_local_experts",
      "num_experts_per_tok",
      "router_aux_loss_coef",
      "router_jitter_noise",
      "output_router_logits"
    )
  }

  private mutating func become(_ architecture: String, _ modelType: String) {
    set("architectures", .array([.string(architecture)]))
    set("model_type", .string(modelType))
  }
}
