import Karat
import KaratEngine
import KaratGraphs
import KaratTestSupport
import Testing

/// The forms that configs of the dense families can ask for, against what transformers computed:
/// stretched rotations, windows of single layers, biases, heads of other sizes, odd vocabularies.
@Suite struct ArchitectureForms {
  static let decoders = [
    "llama-biases-linear", "llama-yarn", "llama-yarn-factor", "mistral-head-size",
    "qwen2-windows", "qwen2-yarn-mscale", "qwen3-layer-types",
  ]

  private func executor(_ name: String) throws -> Executor {
    Executor(try LoadedModel.open(fixture("architectures/\(name)")).model)
  }

  @Test(arguments: decoders, ["", "_single"])
  func logitsAndHiddenStatesAgree(_ name: String, _ suffix: String) throws {
    let expected = try Expected("architectures/\(name)/expected.safetensors")
    let names = [
      "logits": "logits", "hidden_after_layer_0": "hidden_after_layer_0",
      "last_hidden_state": "hidden_last",
    ]
    var shown = 0
    try executor(name).run(
      tokens: try expected.ids(TensorName("input_ids\(suffix)")),
      names: names.keys.sorted()
    ) { value, operand in
      shown += 1
      let found = operand.copied().elements(as: Float.self)
      let wanted = try expected.floats(TensorName((names[value] ?? "") + suffix))
      #expect(relativeError(found, wanted) < 2e-5, "\(value)")
    }
    #expect(shown == 3)
  }

  @Test(arguments: decoders)
  func aCacheGivesTheSameAsTheWholeSequence(_ name: String) throws {
    let ids = try Expected("architectures/\(name)/expected.safetensors").ids("input_ids")
    let executor = try executor(name)
    #expect(relativeError(try cached(executor, ids), try whole(executor, ids)) < 1e-4)
  }

  /// Each form computes something else than the form without it: the fixtures can tell them apart.
  @Test(arguments: [
    ("llama-yarn", "rope_parameters"), ("qwen2-yarn-mscale", "rope_parameters"),
    ("llama-biases-linear", "rope_parameters"), ("qwen2-windows", "use_sliding_window"),
    ("qwen3-layer-types", "layer_types"),
  ])
  func theFormMatters(_ name: String, _ key: String) throws {
    try inTemporaryFolder { folder in
      var edited = try EditedModel("architectures/\(name)")
      edited.config[key] = nil
      if key != "rope_parameters" {
        edited.config["layer_types"] = nil
        edited.config["use_sliding_window"] = false
      }
      let other = Executor(try LoadedModel.open(try edited.write(to: folder + "/m")).model)
      let ids = try Expected("architectures/\(name)/expected.safetensors").ids("input_ids")
      #expect(relativeError(try whole(other, ids), try whole(try executor(name), ids)) > 1e-3)
    }
  }
}
