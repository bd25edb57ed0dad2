import KaratArchitectures
import KaratBytes
import KaratGraphs
import KaratTensors
import KaratTestSupport
import Testing

@Suite struct Configs {
  @Test func anArchitectureIsFoundByItsNameOrByTheModelType() throws {
    #expect(try traced(try edited([("architectures", .null)])) == traced(try edited([])))
    #expect(
      try traced(try edited([("architectures", ["Other", "LlamaForCausalLM"])]))
        == traced(try edited([]))
    )
  }

  @Test func anArchitectureThatIsNotKnownIsNamed() throws {
    let known = Architecture.all.flatMap(\.names).joined(separator: ", ")
    #expect(known.contains("LlamaForCausalLM"))
    func refusal(_ changes: [(String, JSONValue)]) -> String? {
      message { _ = try traced(try edited(changes), file: "m/config.json") }
    }
    #expect(
      refusal([("architectures", ["GPT2LMHeadModel"])])
        == "m/config.json: the architecture 'GPT2LMHeadModel' is not supported. Supported: \(known)."
    )
    #expect(
      refusal([("architectures", .null), ("model_type", "gpt2")])
        == "m/config.json: the architecture 'gpt2' is not supported. Supported: \(known)."
    )
    #expect(
      refusal([("architectures", .null), ("model_type", .null)])
        == "m/config.json: neither 'architectures' nor 'model_type' says what the model is. Known architectures: \(known)."
    )
  }

  struct Fault: Sendable, CustomTestStringConvertible {
    let key: String
    let value: JSONValue
    let message: String
    init(_ key: String, _ value: JSONValue, _ message: String) {
      (self.key, self.value, self.message) = (key, value, message)
    }
    var testDescription: String { "\(key): \(message.prefix(40))" }
  }

  @Test(arguments: [
    Fault(
      "vocab_size",
      .null,
      "'vocab_size' is not there; a whole number from 1 to 134217728 is needed."
    ),
    Fault(
      "vocab_size",
      "many",
      "'vocab_size' is \"many\"; a whole number from 1 to 134217728 is needed."
    ),
    Fault("hidden_size", 0, "'hidden_size' is 0; a whole number from 1 to 134217728 is needed."),
    Fault(
      "hidden_size",
      -64,
      "'hidden_size' is -64; a whole number from 1 to 134217728 is needed."
    ),
    Fault(
      "hidden_size",
      64.5,
      "'hidden_size' is 64.5; a whole number from 1 to 134217728 is needed."
    ),
    Fault(
      "intermediate_size",
      9_223_372_036_854_775_807,
      "'intermediate_size' is 9223372036854775807; a whole number from 1 to 134217728 is needed."
    ),
    Fault(
      "num_hidden_layers",
      4097,
      "'num_hidden_layers' is 4097; a whole number from 1 to 4096 is needed."
    ),
    Fault(
      "num_key_value_heads",
      3,
      "4 query heads ('num_attention_heads') cannot share 3 key and value heads ('num_key_value_heads') evenly."
    ),
    Fault(
      "num_key_value_heads",
      [2],
      "'num_key_value_heads' is [2]; a whole number from 1 to 134217728 is needed."
    ),
    Fault(
      "head_dim",
      15,
      "'head_dim' is 15; an even number is needed for rotation, of at most 134217728 over all heads."
    ),
    Fault(
      "head_dim",
      134_217_728,
      "'head_dim' is 134217728; an even number is needed for rotation, of at most 134217728 over all heads."
    ),
    Fault("rms_norm_eps", 0, "'rms_norm_eps' is 0; a positive number is needed."),
    Fault("rms_norm_eps", "1e-6", "'rms_norm_eps' is \"1e-6\"; a positive number is needed."),
    Fault("attention_bias", 1, "'attention_bias' is 1; true or false is needed."),
    Fault(
      "hidden_act",
      "gelu",
      "'hidden_act' is \"gelu\", which changes what the model computes and is not supported."
    ),
    Fault(
      "sliding_window",
      16,
      "'sliding_window' is 16, which changes what the model computes and is not supported."
    ),
    Fault(
      "logits_scaling",
      8.0,
      "'logits_scaling' is 8.0, which changes what the model computes and is not supported."
    ),
    Fault(
      "tie_word_embeddings",
      "a text much longer than what a message should repeat in full",
      "'tie_word_embeddings' is \"a text much longer than what a message …; true or false is needed."
    ),
  ])
  func aFaultIsNamed(_ fault: Fault) throws {
    let config = try edited([(fault.key, fault.value)])
    #expect(message { _ = try traced(config) } == "config.json: " + fault.message)
  }

  @Test func theLargestConfigIsTracedWithoutOverflow() throws {
    let config = try edited([
      ("vocab_size", 134_217_728), ("hidden_size", 134_217_728),
      ("intermediate_size", 134_217_728), ("num_attention_heads", 67_108_864),
      ("num_key_value_heads", 1), ("head_dim", 2), ("num_hidden_layers", 2),
    ])
    try traced(config).check()
  }
}

@Suite struct CheckpointsOfConfigs {
  /// What checking a checkpoint against llama-tiny's graph says.
  private func refusal(_ edit: (inout EditedModel) -> Void) throws -> String? {
    var model = try EditedModel("llama-tiny")
    edit(&model)
    let architecture = try Architecture.named(by: model.config, file: "config.json")
    let graph = try traced(model.config)
    return message {
      try graph.check(
        against: model.source.manifest,
        file: "model",
        isSpare: architecture.isSpare
      )
    }
  }

  @Test func allIsWell() throws {
    #expect(try refusal { _ in } == nil)
    // Old checkpoints carry a table of rotations, tied ones at times a copy of the head.
    #expect(
      try refusal { model in
        model.tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = Tensor([1])
        model.tensors["lm_head.weight"] = model.tensors["model.embed_tokens.weight"]
      } == nil
    )
  }

  @Test func aTensorIsMissing() throws {
    #expect(
      try refusal { $0.tensors["model.layers.1.mlp.up_proj.weight"] = nil }
        == "model, 'model.layers.1.mlp.up_proj.weight': the architecture needs this tensor, F32 [128, 64], and the checkpoint lacks it. Is a shard missing, or the config another model's?"
    )
  }

  @Test func aShapeIsWrong() throws {
    #expect(
      try refusal {
        $0.tensors["model.norm.weight"] = Tensor([1, 2, 3])
      } == "model, 'model.norm.weight': its shape is [3]; the config asks for [64]."
    )
    #expect(
      try refusal { model in
        let name: TensorName = "model.layers.0.mlp.up_proj.weight"
        model.tensors[name] = model.tensors[name]?.reshaped(to: [64, 128])
      }
        == "model, 'model.layers.0.mlp.up_proj.weight': its shape is [64, 128]; the config asks for [128, 64]."
    )
  }

  @Test(arguments: [DType.i8, .i64, .bool, .c64, .f4, .f8E8M0, .f6E2M3])
  func aTypeIsWrong(_ dtype: DType) throws {
    #expect(
      try refusal { $0.tensors["model.norm.weight"] = Tensor(dtype, [64]) { _ in } }
        == "model, 'model.norm.weight': its type is \(dtype.rawValue); the config asks for a floating-point type."
    )
  }

  @Test(arguments: [DType.f16, .bf16, .f64, .f8E4M3, .f8E5M2])
  func anyFloatingPointTypeThatRunsWillDo(_ dtype: DType) throws {
    #expect(
      try refusal { $0.tensors["model.norm.weight"] = Tensor(dtype, [64]) { _ in } } == nil
    )
  }

  @Test func aTensorIsNotUsed() throws {
    #expect(
      try refusal { $0.tensors["model.layers.0.extra.weight"] = Tensor([1]) }
        == "model, 'model.layers.0.extra.weight': the architecture does not use this tensor, so running without it would compute something else. Is the config another model's?"
    )
    #expect(
      try refusal { model in
        for layer in 3..<6 { model.tensors[TensorName("model.layers.\(layer).x")] = Tensor([1]) }
      }
        == "model, 'model.layers.3.x': the architecture does not use this tensor and 2 others, so running without it would compute something else. Is the config another model's?"
    )
  }
}
