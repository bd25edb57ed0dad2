import KaratArchitectures
import KaratBytes
import KaratGraphs
import KaratTensors
import KaratTestSupport
import Testing

@Suite struct MixtureConfigs {
  struct Refusal: Sendable, CustomTestStringConvertible {
    let model: String
    let key: String
    let value: JSONValue
    let message: String
    var testDescription: String { "\(model): \(key)" }

    init(_ model: String, _ key: String, _ value: JSONValue, _ message: String) {
      (self.model, self.key, self.value, self.message) = (model, key, value, message)
    }

    static func unsupported(_ model: String, _ key: String, _ value: JSONValue, _ text: String)
      -> Refusal
    {
      Refusal(
        model,
        key,
        value,
        "config.json: '\(key)' is \(text), which changes what the model computes and is not supported."
      )
    }
  }

  @Test(arguments: [
    Refusal.unsupported("deepseek-v2-tiny", "norm_topk_prob", true, "true"),
    .unsupported("deepseek-v2-tiny", "scoring_func", "sigmoid", "\"sigmoid\""),
    .unsupported("deepseek-v2-tiny", "rope_interleave", false, "false"),
    .unsupported("deepseek-v2-tiny", "mlp_bias", true, "true"),
    .unsupported("deepseek-v3-tiny", "topk_method", "greedy", "\"greedy\""),
    .unsupported("deepseek-v3-tiny", "scoring_func", "softmax", "\"softmax\""),
    .unsupported("deepseek-v3-tiny", "hidden_act", "gelu", "\"gelu\""),
    .unsupported("mixtral-tiny", "router_jitter_noise", 0.1, "0.1"),
    .unsupported("mixtral-tiny", "layer_types", ["full_attention"], "[\"full_attention\"]"),
    Refusal(
      "deepseek-v2-tiny",
      "topk_method",
      "noaux_tc",
      "config.json: 'topk_method' is 'noaux_tc', which is not supported for this architecture. Supported: greedy, group_limited_greedy."
    ),
    Refusal(
      "deepseek-v3-tiny",
      "num_experts_per_tok",
      9,
      "config.json: 'num_experts_per_tok' 9 cannot be chosen from 'topk_group' 2 of 'n_group' 4 equal groups of 'n_routed_experts' 16."
    ),
    Refusal(
      "deepseek-v3-tiny",
      "n_group",
      5,
      "config.json: 'num_experts_per_tok' 4 cannot be chosen from 'topk_group' 2 of 'n_group' 5 equal groups of 'n_routed_experts' 16."
    ),
    Refusal(
      "mixtral-tiny",
      "num_experts_per_tok",
      5,
      "config.json: 'num_experts_per_tok' is 5; a layer has 4 experts."
    ),
    Refusal(
      "deepseek-v3-tiny",
      "num_key_value_heads",
      2,
      "config.json: 'num_key_value_heads' is 2; latents serve as many heads as there are query heads, 4."
    ),
    Refusal(
      "deepseek-v3-tiny",
      "qk_rope_head_dim",
      7,
      "config.json: 'qk_rope_head_dim' is 7; rotation needs an even number."
    ),
    Refusal(
      "deepseek-v3-tiny",
      "first_k_dense_replace",
      -1,
      "config.json: 'first_k_dense_replace' is -1; a whole number from 0 to 134217728 is needed."
    ),
    Refusal(
      "deepseek-v3-tiny",
      "num_nextn_predict_layers",
      5000,
      "config.json: 'num_nextn_predict_layers' is 5000; at most 4096 run."
    ),
    Refusal(
      "qwen3-moe-tiny",
      "mlp_only_layers",
      ["1"],
      "config.json: 'mlp_only_layers' is [\"1\"]; a list of whole numbers is needed."
    ),
  ])
  func whatIsNotSupportedIsNamed(_ refusal: Refusal) throws {
    let config = try edited(of: refusal.model, [(refusal.key, refusal.value)])
    #expect(message { _ = try traced(config) } == refusal.message)
  }

  private func routes(_ graph: Graph) -> [Route] {
    graph.nodes.compactMap { if case .route(let route) = $0.op { route } else { nil } }
  }

  @Test func routersAreWhatTheConfigsSay() throws {
    let v3 = routes(try traced(try edited(of: "deepseek-v3-tiny", [])))
    #expect(
      v3
        == Array(
          repeating: Route(
            chosen: 4,
            score: .sigmoid,
            grouping: .init(count: 4, kept: 2, rank: .twoGreatest),
            normalizes: true,
            scale: 2.5
          ),
          count: 2
        )
    )
    let plain = routes(
      try traced(try edited(of: "deepseek-v3-tiny", [("n_group", .null), ("topk_group", .null)]))
    )
    #expect(plain.allSatisfy { $0.grouping == nil })
    #expect(routes(try traced(try edited(of: "mixtral-tiny", []))).count == 3)
  }

  @Test func denseLayersAreWhereTheConfigsSay() throws {
    func count(_ name: String, _ changes: [(String, JSONValue)]) throws -> Int {
      routes(try traced(try edited(of: name, changes))).count
    }
    #expect(try count("deepseek-v3-tiny", [("first_k_dense_replace", 0)]) == 3)
    #expect(try count("deepseek-v3-tiny", [("first_k_dense_replace", 7)]) == 0)
    #expect(try count("deepseek-v2-tiny", [("moe_layer_freq", 2)]) == 1)
    #expect(try count("qwen3-moe-tiny", [("decoder_sparse_step", 2)]) == 1)
    #expect(try count("qwen3-moe-tiny", [("mlp_only_layers", [0, 2])]) == 1)
  }

  @Test func sharedExpertsAndBiasesMayBeAbsent() throws {
    func names(_ name: String, _ changes: [(String, JSONValue)]) throws -> [TensorName] {
      try traced(try edited(of: name, changes)).parameters.map(\.name)
    }
    #expect(
      !(try names("deepseek-v2-tiny", [("n_shared_experts", .null)])).contains {
        $0.text.contains("shared_experts")
      }
    )
    #expect(
      try names("deepseek-v3-tiny", [("attention_bias", true)])
        .filter { $0.text.hasPrefix("model.layers.0.") && $0.text.hasSuffix("bias") } == [
          "model.layers.0.self_attn.q_a_proj.bias",
          "model.layers.0.self_attn.kv_a_proj_with_mqa.bias",
          "model.layers.0.self_attn.o_proj.bias",
        ]
    )
  }

  /// Scores grow by the square of what YaRN's `mscale_all_dim` says, and by nothing without it.
  @Test func mscaleRaisesScores() throws {
    func scale(_ members: [(String, JSONValue)]) throws -> Float? {
      var rope = JSONObject()
      for (key, value) in members { rope[key] = value }
      let config = try edited(of: "deepseek-v3-tiny", [("rope_parameters", .object(rope))])
      return try traced(config).nodes.lazy.compactMap { node in
        if case .latentAttention(let attention) = node.op { attention.scale } else { nil }
      }.first
    }
    let plain = 1 / Float(24).squareRoot()
    let yarn: [(String, JSONValue)] = [
      ("rope_type", "yarn"), ("factor", 40), ("original_max_position_embeddings", 64),
    ]
    #expect(try scale([]) == plain)
    #expect(try scale(yarn) == plain)
    #expect(try scale([("mscale_all_dim", 1)]) == plain)
    let raised = try #require(try scale(yarn + [("mscale", 1), ("mscale_all_dim", 1)]))
    // 0.1 · ln 40 + 1 = 1.368888.
    #expect(abs(raised / plain - 1.368888 * 1.368888) < 1e-5)
  }
}
