import Karat
import KaratGraphs
import KaratPasses
import KaratTensors
import KaratTestSupport
import Testing

/// Tokens that depend on the seed alone.
func tokens(_ count: Int, below vocabulary: Int32, seed: UInt64) -> [Int32] {
  var random = Numbers(seed: seed)
  return (0..<count).map { _ in Int32.random(in: 0..<vocabulary, using: &random) }
}

/// A fixture as a model.
func model(_ name: String) throws -> Model { try LoadedModel.open(fixture(name)).model }

/// What passes are given, with tokens in place of a text.
func context(_ vocabulary: Int32, _ count: Int = 512, ignored: [String] = []) throws -> PassContext
{
  PassContext(
    calibrationTokens: tokens(count, below: vocabulary, seed: 11),
    calibrationName: "c.txt",
    ignored: try LayerFilter(ignored)
  )
}

@Suite struct SmoothingGroups {
  private func groups(_ name: String = "llama-tiny") throws -> (Graph, [SmoothingGroup]) {
    let graph = try model(name).graph
    return (graph, graph.smoothingGroups(among: graph.linearLayers))
  }

  @Test func theyAreFoundByTheShapeOfTheGraph() throws {
    let (_, groups) = try groups()
    // Four in each of three blocks: after both norms, before o_proj, before down_proj.
    #expect(groups.count == 12)
    let block = groups.prefix(4).map { group in
      group.layers.map { String($0.path.text.split(separator: ".").last ?? "") }
    }
    #expect(
      block == [
        ["q_proj", "k_proj", "v_proj"], ["o_proj"], ["gate_proj", "up_proj"], ["down_proj"],
      ]
    )
    let producers = groups.prefix(4).map { group in
      switch group.producer {
      case .norm(let weight, _): "\(weight) \(group.sourceCount)"
      case .rows(let layer): "\(layer.weight)"
      }
    }
    #expect(
      producers == [
        "model.layers.0.input_layernorm.weight 64", "model.layers.0.self_attn.v_proj.weight",
        "model.layers.0.post_attention_layernorm.weight 64", "model.layers.0.mlp.up_proj.weight",
      ]
    )
  }

  @Test func groupedHeadsReadAValueChannelSeveralTimes() throws {
    // Four query heads of 16 over two value heads.
    let (_, groups) = try groups()
    let attention = groups[1]
    #expect(attention.sourceCount == 32)
    #expect(
      attention.sourceChannel == Array(0..<16) + Array(0..<16) + Array(16..<32) + Array(16..<32)
    )
    #expect(groups[3].sourceChannel == Array(0..<128))
  }

  @Test func aValueThatAnythingElseReadsIsLeftAlone() throws {
    let graph = try model("llama-tiny").graph
    // Without k_proj among the layers, what q and v read cannot be rescaled.
    let layers = graph.linearLayers.filter { $0.path != "model.layers.0.self_attn.k_proj" }
    let groups = graph.smoothingGroups(among: layers)
    #expect(groups.count == 11)
    #expect(!groups.contains { $0.layers[0].path == "model.layers.0.self_attn.q_proj" })
    // Layers that are codes already cannot be rescaled.
    let quantized = try graph.withQuantizedWeights(
      of: ["model.layers.1.mlp.down_proj"],
      .int8Weights
    )
    #expect(quantized.smoothingGroups(among: quantized.linearLayers).count == 11)
    // Nor can one whose up_proj is codes be folded into it.
    let up = try graph.withQuantizedWeights(of: ["model.layers.1.mlp.up_proj"], .int8Weights)
    #expect(up.smoothingGroups(among: up.linearLayers).count == 10)
  }

  @Test func aTiedHeadTakesNoPart() throws {
    // alice's head is her embedding; llama3-rope-tiny's is its own and follows the last norm.
    let (_, tied) = try groups("alice")
    #expect(tied.count == 16)
    let (_, untied) = try groups("llama3-rope-tiny")
    #expect(untied.count == 13)
    #expect(untied.last?.layers.map(\.path) == ["lm_head"])
  }
}

@Suite struct Smoothing {
  private func smooth(_ alpha: SmoothQuant.Alpha) -> SmoothQuant {
    var pass = SmoothQuant()
    (pass.alpha, pass.windows, pass.length) = (alpha, 4, 64)
    return pass
  }

  @Test(
    arguments: ["alice", "llama-tiny", "llama3-rope-tiny"],
    [SmoothQuant.Alpha.search, .fixed(0), .fixed(0.5), .fixed(1)]
  )
  func logitsStayWhatTheyWere(_ name: String, _ alpha: SmoothQuant.Alpha) throws {
    let original = try model(name)
    let vocabulary: Int32 = name == "alice" ? 1024 : 320
    let smoothed = try smooth(alpha).apply(to: original, in: try context(vocabulary))
    let prompt = tokens(100, below: vocabulary, seed: 12)
    let before = try Executor(original).logits(prompt).elements(as: Float.self)
    let after = try Executor(smoothed).logits(prompt).elements(as: Float.self)
    #expect(relativeError(after, before) < 1e-4)
    // Nothing but weights changed, and every group's did.
    #expect(smoothed.graph == original.graph)
    var changed: Set<TensorName> = []
    for (tensor, _) in original.graph.parameters {
      let now = try smoothed.source.tensor(tensor)
      let then = try original.source.tensor(tensor)
      let floats =
        then.dtype == .f16
        ? then.elements(as: Float16.self).map { Float($0) } : then.elements(as: Float.self)
      if now.dtype != then.dtype, now.elements(as: Float.self) != floats { changed.insert(tensor) }
      if now.dtype == then.dtype, !now.isIdentical(to: then) { changed.insert(tensor) }
    }
    for layer in ["self_attn.q_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.down_proj"] {
      #expect(changed.contains(TensorName("model.layers.1.\(layer).weight")), "\(layer)")
    }
    #expect(changed.contains("model.layers.1.input_layernorm.weight"))
    #expect(!changed.contains("model.embed_tokens.weight"))
  }

  @Test func spikesMoveIntoTheWeights() throws {
    // One channel of a norm is 200 times larger than the others.
    var edited = try EditedModel("llama-tiny")
    let path: TensorName = "model.layers.1.post_attention_layernorm.weight"
    edited.set(path, at: 5, to: 200)
    var broken = try model("llama-tiny")
    broken.source = edited.source
    let smoothed = try smooth(.search).apply(to: broken, in: try context(320))
    let weights = try smoothed.source.tensor(path).elements(as: Float.self).map { abs($0) }
    let others = weights.enumerated().filter { $0.offset != 5 }.map(\.element).max() ?? 0
    #expect(weights[5] / others < 100)
  }

  @Test func whatCannotBeSmoothedIsRefused() throws {
    let tiny = try model("llama-tiny")
    #expect(
      message { _ = try smooth(.fixed(1.5)).apply(to: tiny, in: try context(320)) }
        == "smooth-quant: alpha is 1.5; a number from 0 to 1 is needed."
    )
    #expect(
      message { _ = try smooth(.search).apply(to: tiny, in: try context(320, ignored: ["re:.*"])) }
        == "smooth-quant: no linear layer reads a value that can be rescaled."
    )
    #expect(
      message { _ = try smooth(.search).apply(to: tiny, in: try context(320, 63)) }
        == "c.txt: the calibration text has 63 tokens; one window needs 64. Give more text, or ask for shorter windows."
    )
  }

  @Test(arguments: [Float.nan, .infinity])
  func brokenNumbersAreNamed(_ broken: Float) throws {
    var edited = try EditedModel("llama-tiny")
    edited.set("model.layers.1.mlp.down_proj.weight", at: 70, to: broken)
    var weight = try model("llama-tiny")
    weight.source = edited.source
    #expect(
      message { _ = try smooth(.search).apply(to: weight, in: try context(320)) }
        == "smooth-quant: what 'model.layers.1.mlp.down_proj' reads, or a weight of theirs, holds NaN or infinity. Mend the checkpoint, or leave the layers out with ignore."
    )
    var table = try EditedModel("llama-tiny")
    table.edit("model.embed_tokens.weight") { $0 = $0.map { _ in broken } }
    var activation = try model("llama-tiny")
    activation.source = table.source
    let named =
      "'model.layers.0.self_attn.q_proj', 'model.layers.0.self_attn.k_proj', 'model.layers.0.self_attn.v_proj'"
    #expect(
      message { _ = try smooth(.fixed(0.5)).apply(to: activation, in: try context(320)) }
        == "smooth-quant: window 0: what \(named) reads holds NaN or infinity, so no range can hold it. Does the model overflow, or is a weight broken? Try: karat inspect --tensors."
    )
  }
}
