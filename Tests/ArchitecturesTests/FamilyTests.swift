import KaratArchitectures
import KaratBytes
import KaratGraphs
import KaratTensors
import KaratTestSupport
import Testing

/// What the families read of their configs, each with its own defaults.
@Suite struct Families {
  private func windows(_ name: String, _ changes: [(String, JSONValue)]) throws -> [Int?] {
    var config = try EditedModel(name).config
    for (key, value) in changes { config[key] = value }
    return try traced(config).nodes.compactMap { node -> Int?? in
      if case .attention(let attention) = node.op { .some(attention.window) } else { nil }
    }
  }

  @Test func mistralsWindowIs4096WhereTheConfigDoesNotSay() throws {
    #expect(try windows("mistral-tiny", []) == [16, 16, 16])
    #expect(try windows("mistral-tiny", [("sliding_window", .null)]) == [nil, nil, nil])
    var config = try EditedModel("mistral-tiny").config
    config["sliding_window"] = nil
    let graph = try traced(config)
    #expect(graph.description.contains("window: 4096"))
  }

  @Test(arguments: ["qwen2-tiny", "qwen3-tiny"])
  func qwensWindowsBeginAtALayer(_ name: String) throws {
    let on: [(String, JSONValue)] = [
      ("use_sliding_window", true), ("sliding_window", 8), ("max_window_layers", 1),
    ]
    #expect(try windows(name, [("sliding_window", 8)]) == [nil, nil, nil])
    // What `layer_types` says counts first.
    #expect(try windows(name, on) == [nil, nil, nil])
    #expect(try windows(name, on + [("layer_types", .null)]) == [nil, 8, 8])
    #expect(
      try windows(
        name,
        on + [("layer_types", ["sliding_attention", "full_attention", "full_attention"])]
      ) == [8, nil, nil]
    )
  }

  @Test func defaultsDifferBetweenFamilies() throws {
    func heads(_ name: String, without keys: [String]) throws -> String? {
      var config = try EditedModel(name).config
      for key in keys { config[key] = nil }
      config["num_attention_heads"] = 32
      return try traced(config).nodes.lazy.compactMap { node -> String? in
        guard case .attention(let attention) = node.op else { return nil }
        return "\(attention.heads) \(attention.keyValueHeads) \(attention.scale)"
      }.first
    }
    let keys = ["head_dim", "num_key_value_heads"]
    #expect(try heads("llama-tiny", without: keys) == "32 32 \(1 / Float(2).squareRoot())")
    #expect(try heads("mistral-tiny", without: keys) == "32 8 \(1 / Float(2).squareRoot())")
    #expect(try heads("qwen2-tiny", without: keys) == "32 32 \(1 / Float(2).squareRoot())")
    #expect(try heads("qwen3-tiny", without: keys) == "32 32 \(1 / Float(128).squareRoot())")
  }

  struct Fault: Sendable, CustomTestStringConvertible {
    let model: String
    let changes: [String: JSONValue]
    let message: String
    init(_ model: String, _ changes: [String: JSONValue], _ message: String) {
      (self.model, self.changes, self.message) = (model, changes, message)
    }
    var testDescription: String { "\(model): \(message.prefix(50))" }
  }

  @Test(arguments: [
    Fault(
      "mistral-tiny",
      ["layer_types": ["full_attention", "full_attention", "full_attention"]],
      "config.json: 'layer_types' is [\"full_attention\",\"full_attention\",\"full…, which changes what the model computes and is not supported."
    ),
    Fault(
      "qwen2-tiny",
      ["layer_types": ["full_attention"]],
      "config.json: 'layer_types' names 1 layers; the model has 3."
    ),
    Fault(
      "qwen3-tiny",
      ["layer_types": ["full_attention", "chunked_attention", "full_attention"]],
      "config.json: 'layer_types' has 'chunked_attention', which is not supported. Supported: full_attention, sliding_attention."
    ),
    Fault(
      "qwen3-tiny",
      ["layer_types": ["sliding_attention", "full_attention", "full_attention"]],
      "config.json: 'layer_types' has 'sliding_attention', and 'sliding_window' does not say how many tokens a layer sees."
    ),
    Fault(
      "qwen2-tiny",
      ["layer_types": 7],
      "config.json: 'layer_types' is 7; a list of texts is needed."
    ),
    Fault(
      "llama-tiny",
      ["rope_parameters": ["full_attention": ["rope_theta": 10000]]],
      "config.json, 'rope_parameters': 'full_attention' is {\"rope_theta\":10000}, which changes what the model computes and is not supported."
    ),
    Fault(
      "llama-tiny",
      ["rope_parameters": ["rope_type": "yarn", "factor": 2, "rope_theta": 1]],
      "config.json, 'rope_parameters': 'rope_theta' is 1.0; YaRN needs a base above 1."
    ),
    Fault(
      "llama-tiny",
      ["rope_parameters": ["rope_type": "yarn", "factor": 2, "attention_factor": -1]],
      "config.json, 'rope_parameters': 'attention_factor', 'mscale' and 'mscale_all_dim' make cosines -1.0 times as large; a positive number is needed."
    ),
    Fault(
      "llama-tiny",
      ["use_bidirectional_attention": true],
      "config.json: 'use_bidirectional_attention' is true, which changes what the model computes and is not supported."
    ),
    Fault(
      "bert-tiny",
      ["is_decoder": true],
      "config.json: 'is_decoder' is true, which changes what the model computes and is not supported."
    ),
    Fault(
      "bert-tiny",
      ["position_embedding_type": "relative_key"],
      "config.json: 'position_embedding_type' is \"relative_key\", which changes what the model computes and is not supported."
    ),
    Fault(
      "bert-tiny",
      ["hidden_act": "mish"],
      "config.json: 'hidden_act' is \"mish\", which changes what the model computes and is not supported."
    ),
    Fault(
      "bert-tiny",
      ["num_attention_heads": 5],
      "config.json: 'hidden_size' is 64, which 5 heads ('num_attention_heads') cannot share evenly."
    ),
  ])
  func whatIsNotComputedIsRefused(_ fault: Fault) throws {
    var config = try EditedModel(fault.model).config
    for (key, value) in fault.changes { config[key] = value }
    #expect(message { _ = try traced(config) } == fault.message)
  }

  /// YaRN's amplitude: given, from two weights, or from the factor alone.
  @Test func yarnRaisesTheAmplitude() throws {
    func amplitude(_ settings: [(String, JSONValue)]) throws -> Float? {
      var object: JSONObject = ["rope_type": "yarn", "factor": 4]
      for (key, value) in settings { object[key] = value }
      let graph = try traced(try edited([("rope_parameters", .object(object))]))
      return graph.nodes.lazy.compactMap { node in
        if case .rope(let rope) = node.op { rope.frequencies.amplitude } else { nil }
      }.first
    }
    #expect(try amplitude([]) == 1.1386294)
    #expect(try amplitude([("attention_factor", 1.5), ("mscale", 3)]) == 1.5)
    #expect(try amplitude([("mscale", 1.0), ("mscale_all_dim", 1.0)]) == 1)
    #expect(try amplitude([("mscale", 1.0), ("mscale_all_dim", 0)]) == 1.1386294)
    #expect(try amplitude([("factor", 0.5)]) == 1)
  }

  @Test(arguments: ["mistral-tiny", "qwen2-tiny", "qwen3-tiny", "bert-tiny"])
  func aTensorThatIsMissingOrNotUsedIsNamed(_ name: String) throws {
    var model = try EditedModel(name)
    func refusal() throws -> String? {
      let config = Config(model.config, file: "config.json", tensors: model.source.manifest)
      let family = try Architecture.named(by: model.config, file: "config.json")
      let graph = try family.trace(config)
      return message {
        try graph.check(against: model.source.manifest, file: "m", isSpare: family.isSpare)
      }
    }
    #expect(try refusal() == nil)
    let missing = try #require(model.tensors.keys.sorted().first { $0.text.contains(".1.") })
    let tensor = model.tensors.removeValue(forKey: missing)
    #expect(try refusal()?.hasPrefix("m, \(missing.quoted): the architecture needs this") == true)
    model.tensors[missing] = tensor
    model.tensors["model.extra.weight"] = Tensor([1])
    #expect(
      try refusal()?.hasPrefix("m, 'model.extra.weight': the architecture does not use this")
        == true
    )
  }
}
