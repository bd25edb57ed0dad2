import KaratArchitectures
import KaratBytes
import KaratGraphs
import KaratTensors
import KaratTestSupport
import Testing

/// The graph that a config gives.
func traced(_ config: JSONObject, file: String = "config.json") throws -> Graph {
  try Architecture.named(by: config, file: file).trace(Config(config, file: file))
}

/// A fixture's config with some keys changed; null removes one.
func edited(of name: String = "llama-tiny", _ changes: [(String, JSONValue)]) throws -> JSONObject {
  var config = try EditedModel(name).config
  for (key, value) in changes { config[key] = value.isNull ? nil : value }
  return config
}

@Suite struct LlamaGraph {
  @Test func oneBlockReadsLikeThePaper() throws {
    let graph = try traced(try edited([("num_hidden_layers", 1)]))
    try graph.check()
    let operations = graph.nodes.filter { $0.op.operation.name != "parameter" }
    #expect(
      operations.map { "\($0.op.operation.name) \($0.path)" } == [
        "input ", "embedding model.embed_tokens", "rms_norm model.layers.0.input_layernorm",
        "linear model.layers.0.self_attn.q_proj", "rope model.layers.0.self_attn",
        "linear model.layers.0.self_attn.k_proj", "rope model.layers.0.self_attn",
        "linear model.layers.0.self_attn.v_proj", "attention model.layers.0.self_attn",
        "linear model.layers.0.self_attn.o_proj", "add ",
        "rms_norm model.layers.0.post_attention_layernorm",
        "linear model.layers.0.mlp.gate_proj", "linear model.layers.0.mlp.up_proj",
        "swiglu model.layers.0.mlp", "linear model.layers.0.mlp.down_proj", "add ",
        "rms_norm model.norm", "linear lm_head",
      ]
    )
    #expect(
      graph.description.contains(
        "attention(%7, %10, %12, heads: 4, key_value_heads: 2, scale: 0.25, causal: true) : F32[batch, length, 64]  @ model.layers.0.self_attn"
      )
    )
    #expect(
      Set(graph.named.keys)
        == ["input_ids", "hidden_after_layer_0", "last_hidden_state", "logits"]
    )
    #expect(graph.sharedParameters == ["model.embed_tokens.weight"])
  }

  @Test func equalConfigsGiveEqualGraphs() throws {
    #expect(try traced(try edited([])) == traced(try edited([])))
    #expect(
      try traced(try edited([])).description == traced(try edited([])).description
    )
    #expect(try traced(try edited([])) != traced(try edited([("rms_norm_eps", 1e-5)])))
  }

  @Test func biasesAndTheHeadAreParametersWhereTheConfigSaysSo() throws {
    let names = try traced(
      try edited([
        ("num_hidden_layers", 1), ("attention_bias", true), ("mlp_bias", true),
        ("tie_word_embeddings", false),
      ])
    ).parameters.map(\.name)
    for name in ["self_attn.q_proj", "self_attn.o_proj", "mlp.up_proj", "mlp.down_proj"] {
      #expect(names.contains(TensorName("model.layers.0.\(name).bias")))
    }
    #expect(names.contains("lm_head.weight"))
    #expect(!(try traced(try edited([])).parameters.map(\.name).contains("lm_head.weight")))
  }

  @Test func defaultsAreThoseOfTransformers() throws {
    let sparse = try traced(
      try edited([
        ("head_dim", .null), ("num_key_value_heads", .null), ("rms_norm_eps", .null),
        ("rope_parameters", .null), ("num_hidden_layers", 1), ("attention_bias", .null),
        ("mlp_bias", .null), ("hidden_act", .null),
      ])
    )
    let full = try traced(
      try edited([
        ("head_dim", 16), ("num_key_value_heads", 4), ("rms_norm_eps", 1e-6),
        ("rope_theta", 10000), ("num_hidden_layers", 1),
      ])
    )
    #expect(sparse == full)
  }

  @Test func stagesAreTheEmbeddingTheBlocksAndTheHead() throws {
    let graph = try traced(try edited([]))
    let stages = graph.stages
    #expect(stages.map(\.block) == [nil, 0, 1, 2, nil])
    #expect(stages.dropFirst().allSatisfy { $0.inputs.count == 1 && $0.released == $0.inputs })
    #expect(
      stages.dropLast().map(\.outputs)
        == stages.dropFirst().map(\.inputs)
    )
  }
}

@Suite struct RotaryConfigs {
  private static let scaling: [(String, JSONValue)] = [
    ("factor", 8.0), ("low_freq_factor", 1.0), ("high_freq_factor", 4.0),
    ("original_max_position_embeddings", 32),
  ]

  private func object(_ members: [(String, JSONValue)]) -> JSONValue {
    var object = JSONObject()
    for (key, value) in members { object[key] = value }
    return .object(object)
  }

  /// The rotation that a config gives.
  private func rotation(_ changes: [(String, JSONValue)]) throws -> RotationFrequencies? {
    let graph = try traced(try edited(of: "llama3-rope-tiny", changes))
    return graph.nodes.lazy.compactMap { node in
      if case .rope(let rope) = node.op { rope.frequencies } else { nil }
    }.first
  }

  @Test func oldAndNewStylesSayTheSame() throws {
    let llama3 = RotationFrequencies(
      base: 500_000,
      scaling: .llama3(factor: 8, lowFactor: 1, highFactor: 4, originalLength: 32)
    )
    #expect(try rotation([]) == llama3)
    for key in ["rope_type", "type"] {
      #expect(
        try rotation([
          ("rope_parameters", .null), ("rope_theta", 500_000.0),
          ("rope_scaling", object(Self.scaling + [(key, "llama3")])),
        ]) == llama3
      )
    }
    let plain = RotationFrequencies(base: 500_000)
    #expect(try rotation([("rope_parameters", .null), ("rope_theta", 500_000)]) == plain)
    #expect(
      try rotation([("rope_parameters", object([("rope_theta", 500_000.0)]))]) == plain
    )
    #expect(
      try rotation([
        ("rope_parameters", .null), ("rope_theta", 500_000),
        ("rope_scaling", object([("type", "linear"), ("factor", 2.0)])),
      ]) == RotationFrequencies(base: 500_000, scaling: .linear(factor: 2))
    )
    #expect(try rotation([("rope_parameters", .null)]) == RotationFrequencies(base: 10_000))
  }

  @Test func whatIsNotSupportedIsNamed() throws {
    #expect(
      message {
        _ = try rotation([
          ("rope_parameters", .null),
          ("rope_scaling", object([("type", "dynamic"), ("factor", 4)])),
        ])
      }
        == "config.json, 'rope_scaling': the rotary scaling 'dynamic' is not supported. Supported: default, linear, llama3, yarn."
    )
    #expect(
      message { _ = try rotation([("rope_parameters", object([("rope_type", "llama3")]))]) }
        == "config.json, 'rope_parameters': 'factor' is not there; a positive number is needed."
    )
    #expect(
      message {
        _ = try rotation([
          ("rope_parameters", object([("partial_rotary_factor", 0.5), ("rope_theta", 10_000)]))
        ])
      }
        == "config.json, 'rope_parameters': 'partial_rotary_factor' is 0.5, which changes what the model computes and is not supported."
    )
    #expect(
      message { _ = try rotation([("rope_parameters", 7)]) }
        == "config.json: 'rope_parameters' is 7; an object is needed."
    )
  }
}
