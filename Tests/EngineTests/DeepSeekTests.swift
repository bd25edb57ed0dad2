import Karat
import KaratEngine
import KaratGraphs
import KaratTestSupport
import Testing

/// Predictions of later tokens against `Tests/Reference/mixture_models.py`.
@Suite struct MultiTokenPrediction {
  private static let folder = "deepseek-v3-mtp-tiny"

  private func rows(
    _ executor: Executor,
    _ ids: [[Int32]],
    _ name: String
  ) throws -> [Float] {
    var found: [Float] = []
    try executor.run(tokens: ids, names: [name]) { found = $1.copied().elements(as: Float.self) }
    return found
  }

  private func opened(_ change: (inout EditedModel) -> Void) throws -> Graph {
    var model = try EditedModel(Self.folder)
    change(&model)
    var graph: Graph?
    try inTemporaryFolder { folder in
      graph = try LoadedModel.open(try model.write(to: folder + "/model")).model.graph
    }
    return try #require(graph)
  }

  @Test(arguments: ["mtp_logits", "mtp_logits_2"])
  func draftLogitsAgreeWithTheReference(_ name: String) throws {
    let expected = try Expected("\(Self.folder)/expected.safetensors")
    let executor = Executor(try LoadedModel.open(fixture(Self.folder)).model)
    let found = try rows(executor, try expected.ids("input_ids"), name)
    #expect(relativeError(found, try expected.floats(TensorName(name))) < 2e-5)
  }

  /// What stands in for tokens behind the last does not reach earlier rows.
  @Test func rowsThatHaveTheirTokensDoNotDependOnThoseBehind() throws {
    let ids = try Expected("\(Self.folder)/expected.safetensors").ids("input_ids")
    let executor = Executor(try LoadedModel.open(fixture(Self.folder)).model)
    let whole = try rows(executor, [ids[0]], "mtp_logits_2")
    let cut = try rows(executor, [Array(ids[0].prefix(20))], "mtp_logits_2")
    let vocabulary = executor.vocabularySize
    let known = 18 * vocabulary
    #expect(relativeError(Array(cut.prefix(known)), Array(whole.prefix(known))) < 1e-5)
    #expect(Array(cut.suffix(vocabulary)) != Array(whole[19 * vocabulary..<20 * vocabulary]))
    #expect(try rows(executor, [[5]], "mtp_logits").allSatisfy { $0.isFinite })
  }

  @Test func modulesMayBeAbsentButNotPartly() throws {
    let none = try opened { model in
      for name in model.tensors.keys
      where name.text.hasPrefix("model.layers.2.") || name.text.hasPrefix("model.layers.3.") {
        model.tensors[name] = nil
      }
    }
    #expect(none.named.keys.filter { $0.hasPrefix("mtp") }.isEmpty)
    let one = try opened { model in
      for name in model.tensors.keys where name.text.hasPrefix("model.layers.3.") {
        model.tensors[name] = nil
      }
    }
    #expect(one.named.keys.filter { $0.hasPrefix("mtp") } == ["mtp_logits"])
    for name in ["model.layers.3.hnorm.weight", "model.layers.2.mlp.experts.4.up_proj.weight"] {
      let text = message { _ = try opened { $0.tensors[TensorName(name)] = nil } }
      #expect(text?.contains("'\(name)': the architecture needs this tensor") == true)
    }
    let beyond = message { _ = try opened { $0.config["num_nextn_predict_layers"] = 1 } }
    #expect(beyond?.contains("'model.layers.3.") == true)
    #expect(beyond?.contains("does not use this tensor") == true)
  }

  @Test func theDecodersLogitsPullNothingOfTheModules() throws {
    var model = try LoadedModel.open(fixture(Self.folder)).model
    let source = WatchedSource(model.source)
    model.source = source
    _ = try Executor(model).logits([3, 1, 4])
    #expect(!source.pulled.isEmpty)
    #expect(
      !source.pulled.contains {
        $0.text.hasPrefix("model.layers.2.") || $0.text.hasPrefix("model.layers.3.")
      }
    )
  }

  @Test func modulesAreKeptThroughQuantization() throws {
    let loaded = try LoadedModel.open(fixture(Self.folder))
    let pipeline = Pipeline(Recipe(passes: [QuantizeWeights()], ignored: ["lm_head"]))
    let quantized = try pipeline.run(loaded).model
    // The same rounded weights as floats in the graph that knows no codes.
    var floats: [TensorName: Tensor] = [:]
    for name in loaded.model.source.manifest.names {
      let tensor = try quantized.source.tensor(name)
      floats[name] = tensor
      guard tensor.dtype == .i8 else { continue }
      let scales = try quantized.source.tensor(TensorName(name.text + "_scale"))
        .elements(as: Float.self)
      let width = tensor.shape[1]
      let numbers = tensor.elements(as: Int8.self).enumerated().map {
        Float($1) * scales[$0 / width]
      }
      floats[name] = Tensor(numbers, shape: tensor.shape)
    }
    let plain = Model(graph: loaded.model.graph, source: MemorySource(floats))
    let ids = try Expected("\(Self.folder)/expected.safetensors").ids("input_ids")
    for name in ["logits", "mtp_logits", "mtp_logits_2"] {
      let rounded = try rows(Executor(quantized), ids, name)
      #expect(rounded == (try rows(Executor(plain), ids, name)), "\(name)")
      #expect(rounded != (try rows(Executor(loaded.model), ids, name)))
    }
  }
}

/// Whole models of experts.
@Suite struct Mixtures {
  @Test(arguments: ["deepseek-v3-tiny", "mixtral-tiny", "qwen3-moe-tiny"])
  func oneTokenPullsNoMoreExpertsThanItReaches(_ name: String) throws {
    let loaded = try LoadedModel.open(fixture(name))
    var model = loaded.model
    let source = WatchedSource(model.source)
    model.source = source
    _ = try Executor(model).logits([7])
    let chosen = try #require(loaded.config["num_experts_per_tok"]?.int)
    for layer in 1...2 {
      let experts = source.pulled.filter { name in
        name.text.hasPrefix("model.layers.\(layer).") && name.text.contains(".experts.")
      }
      #expect(experts.count == 3 * chosen)
    }
  }

  @Test(arguments: [
    "deepseek-v2-groups-tiny", "deepseek-v3-tiny", "mixtral-tiny", "qwen3-moe-tiny",
  ])
  func bitsAreTheSameForAnyNumberOfThreads(_ name: String) throws {
    let ids = try Expected("\(name)/expected.safetensors").ids("input_ids")
    let model = try LoadedModel.open(fixture(name)).model
    let one = try Executor(model, threads: 1).logits(ids[0])
    for threads in [2, 3] {
      #expect(try Executor(model, threads: threads).logits(ids[0]).isIdentical(to: one))
    }
  }

  /// Experts may be stored as one tensor of all; an expert is still pulled alone.
  @Test(arguments: ["deepseek-v3-tiny", "qwen3-moe-tiny"])
  func stackedExpertsAreReadOneByOne(_ name: String) throws {
    var edited = try EditedModel(name)
    for layer in 0..<3 {
      let module = "model.layers.\(layer).mlp.experts"
      var (both, down): ([Float], [Float]) = ([], [])
      var expert = 0
      var (middle, hidden) = (0, 0)
      while let gate = edited.tensors[TensorName("\(module).\(expert).gate_proj.weight")] {
        func floats(_ part: String) -> [Float] {
          let name = TensorName("\(module).\(expert).\(part).weight")
          return edited.tensors.removeValue(forKey: name)?.elements(as: Float.self) ?? []
        }
        both += floats("gate_proj") + floats("up_proj")
        down += floats("down_proj")
        (middle, hidden) = (gate.shape[0], gate.shape[1])
        expert += 1
      }
      guard expert > 0 else { continue }
      edited.tensors[TensorName(module + ".gate_up_proj")] = Tensor(
        both,
        shape: [expert, 2 * middle, hidden]
      )
      edited.tensors[TensorName(module + ".down_proj")] = Tensor(
        down,
        shape: [expert, hidden, middle]
      )
    }
    #expect(!edited.tensors.keys.contains { $0.text.contains(".experts.0.") })
    let ids: [Int32] = [5, 300, 17, 2]
    try inTemporaryFolder { folder in
      let stacked = try LoadedModel.open(try edited.write(to: folder + "/model"))
      let plain = try LoadedModel.open(fixture(name))
      #expect(
        try Executor(stacked.model).logits(ids).isIdentical(to: Executor(plain.model).logits(ids))
      )
      let odd: TensorName = "model.layers.1.mlp.experts.gate_up_proj"
      edited.tensors[odd] = Tensor([Float](repeating: 0, count: 9), shape: [3, 3, 1])
      let text = message { _ = try LoadedModel.open(try edited.write(to: folder + "/odd")) }
      #expect(text?.contains("experts.0.gate_proj.weight': the architecture needs this") == true)
    }
  }

  /// Routers and `kv_b_proj`'s input stay in floating point, everything else becomes codes.
  @Test func whatMayBeRoundedIsTold() throws {
    let loaded = try LoadedModel.open(fixture("deepseek-v3-tiny"))
    let layers = loaded.model.graph.linearLayers
    #expect(layers.count { $0.path.text.hasSuffix("kv_b_proj") } == 3)
    #expect(layers.allSatisfy { $0.takesCodes == !$0.path.text.hasSuffix("kv_b_proj") })
    #expect(layers.allSatisfy { $0.isRouter == $0.path.text.hasSuffix("mlp.gate") })
    let pipeline = Pipeline(Recipe(passes: [QuantizeWeights()], ignored: ["lm_head"]))
    let quantized = try pipeline.run(loaded).model.graph
    #expect(
      Set(quantized.linearLayers.filter { !$0.hasCodes }.map(\.path))
        == ["lm_head", "model.layers.1.mlp.gate", "model.layers.2.mlp.gate"]
    )
    #expect(
      message {
        let leaders: [TensorName: TensorName] = [
          "model.layers.1.self_attn.kv_b_proj": "model.layers.1.self_attn.kv_b_proj"
        ]
        _ = try quantized.withQuantizedActivations(leaders: leaders, .int8Activations)
      }
        == "'model.layers.1.self_attn.kv_b_proj': what this layer reads must stay in floating point: attention rearranges its product, so codes made for it would be used elsewhere. Add it to ignore."
    )
  }

  /// Block-scaled 8-bit floats run as the numbers that they stand for: rounded to BF16, those that
  /// the reference gives.
  @Test func blockScaledWeightsRunAsTheirNumbers() throws {
    let loaded = try LoadedModel.open(fixture("deepseek-v3-fp8-tiny"))
    let reference = try SafetensorsReader(fixture("deepseek-v3-fp8-tiny/expected_bf16.safetensors"))
    for name in reference.manifest.names {
      let (found, wanted) = (try loaded.model.source.tensor(name), try reference.tensor(name))
      guard found.dtype == .f32, wanted.dtype == .bf16 else {
        #expect(found.isIdentical(to: wanted))
        continue
      }
      let rounded = found.elements(as: UInt32.self).map { bits in
        UInt16((bits + 0x7fff + (bits >> 16 & 1)) >> 16)
      }
      #expect(rounded == wanted.elements(as: UInt16.self), "\(name)")
    }
    let ids: [Int32] = [5, 300, 17, 17, 2, 88, 319, 0]
    let found = try Executor(loaded.model).logits(ids)
    #expect(found.elements(as: Float.self).allSatisfy { $0.isFinite })
  }
}
