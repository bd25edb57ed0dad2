import Karat
import KaratBytes
import KaratEngine
import KaratGraphs
import KaratModels
import KaratPasses
import KaratTensors
import KaratTestSupport
import Testing

/// A block of four experts, of which each token reaches one: token t expert t modulo 4.
@Suite struct Routing {
  private static let experts = 4
  private static let hidden = 8
  private static let vocabulary = 8

  private func model() throws -> Model {
    let (hidden, vocabulary) = (Self.hidden, Self.vocabulary)
    let tracer = Tracer()
    let w = tracer.root / "model"
    let ids = tracer.input("input_ids", ValueType(.i32, [.batch, .length]))
    let table = (w / "embed_tokens").parameter("weight", vocabulary, hidden)
    var x = ids.through(.embedding(Embedding()), table, at: w / "embed_tokens")
    x = tracer.block(0) {
      let mlp = w / "layers" / "0" / "mlp"
      let logits = linear(x, mlp / "gate", hidden, Self.experts)
      let route = logits.through(
        .route(Route(chosen: 1, score: .softmax, normalizes: true)),
        at: mlp / "gate"
      )
      let (offsets, slots) = (route.result(2), route.result(3))
      let outputs = (0..<Self.experts).map { index in
        let place = mlp / "experts" / "\(index)"
        let rows = x.through(.expertRows(ExpertRows(expert: index)), offsets, slots, at: place)
        let gate = linear(rows, place / "gate_proj", hidden, 6)
        let up = linear(rows, place / "up_proj", hidden, 6)
        return linear(
          gate.through(.swiglu(SwiGLU()), up, at: place),
          place / "down_proj",
          6,
          hidden
        )
      }
      let mixed = route.through(
        .combineExperts(CombineExperts()),
        [offsets, slots] + outputs,
        at: mlp
      )
      return linear(x + mixed, w / "layers" / "0" / "proj", hidden, hidden)
    }
    tracer.name(linear(x, tracer.root / "lm_head", hidden, vocabulary), "logits")

    func numbers(_ rows: Int, _ columns: Int, _ seed: Int) -> Tensor {
      Tensor(
        (0..<rows * columns).map { Float(($0 * 37 + seed * 11) % 23 - 11) / 16 },
        shape: [rows, columns]
      )
    }
    var tensors: [TensorName: Tensor] = ["lm_head.weight": numbers(vocabulary, hidden, 1)]
    tensors["model.layers.0.proj.weight"] = numbers(hidden, hidden, 5)
    // Token t is mostly feature t, and expert e listens to features e and e + 4.
    tensors["model.embed_tokens.weight"] = Tensor(
      (0..<vocabulary * hidden).map { $0 / hidden == $0 % hidden ? 2 : Float($0 % 5) / 50 },
      shape: [vocabulary, hidden]
    )
    tensors["model.layers.0.mlp.gate.weight"] = Tensor(
      (0..<Self.experts * hidden).map { $0 / hidden == $0 % hidden % 4 ? 3 : 0 },
      shape: [Self.experts, hidden]
    )
    for expert in 0..<Self.experts {
      let place = "model.layers.0.mlp.experts.\(expert)."
      tensors[TensorName(place + "gate_proj.weight")] = numbers(6, hidden, expert)
      tensors[TensorName(place + "up_proj.weight")] = numbers(6, hidden, expert + 7)
      tensors[TensorName(place + "down_proj.weight")] = numbers(hidden, 6, expert + 3)
    }
    return Model(graph: try tracer.finish(), source: MemorySource(tensors))
  }

  /// Tokens that reach experts 0, 1 and 3, never 2.
  private static let text: [Int32] = (0..<64).map { [0, 1, 3, 4, 0, 7, 5, 0][$0 % 8] }

  private func context() throws -> PassContext {
    PassContext(calibrationTokens: Self.text, ignored: try LayerFilter(["lm_head"]))
  }

  private func calibrate(experts: Bool) -> Calibrate {
    var pass = Calibrate(observer: .minmax)
    (pass.windows, pass.length, pass.experts) = (4, 16, experts)
    return pass
  }

  @Test func statisticsAreWhatTheHandCounts() throws {
    let model = try model()
    for memory in [nil, MemoryBudget(bytes: 60_000)] {
      let found = try Executor(model, memory: memory).routerStatistics([Self.text, [1, 1]])
      let router = try #require(found.first)
      #expect(found.count == 1)
      #expect(router.router == "model.layers.0.mlp.gate")
      #expect(router.tokens == 66)
      #expect(router.counts == [32, 18, 0, 16])
      #expect(router.unused == [2])
      #expect(abs(router.peak - 32 / 16.5) < 1e-12)
      #expect(abs(router.variation - 0.6874) < 1e-3)
      #expect(abs(router.entropy - 0.7567) < 1e-3)
    }
    #expect(try Executor(LoadedModel.open(fixture("alice")).model).routerStatistics([[1]]).isEmpty)
  }

  @Test func anExpertThatNoTokenReachesTakesItsPeersRange() throws {
    let calibrated = try calibrate(experts: true).apply(to: try model(), in: try context())
    let calibration = try #require(calibrated.calibration)
    #expect(calibration.routers.first?.unused == [2])
    for layer in ["gate_proj", "up_proj", "down_proj"] {
      func range(_ expert: Int) throws -> QuantizationRange {
        try #require(calibration.ranges["model.layers.0.mlp.experts.\(expert).\(layer)"])
      }
      let peers = try [0, 1, 3].map(range)
      let unreached = try range(2)
      #expect(unreached.scale.isFinite && unreached.scale > 0)
      let lower = try #require(peers.map(\.lower).min())
      let upper = try #require(peers.map(\.upper).max())
      #expect(abs(unreached.lower - lower) <= unreached.scale)
      #expect(abs(unreached.upper - upper) <= unreached.scale)
    }
    // It runs on tokens that reach it.
    var pass = QuantizeActivations()
    pass.experts = .tensor
    let quantized = try pass.apply(
      to: QuantizeWeights().apply(to: calibrated, in: context()),
      in: context()
    )
    #expect(!quantized.graph.nodes.contains { $0.op == .quantize(Quantize(.int8Tokens)) })
    let logits = try Executor(quantized).logits([2, 6, 0]).elements(as: Float.self)
    #expect(logits.allSatisfy { $0.isFinite })
  }

  @Test func expertsAreScaledTokenByTokenAndRoutersStayInFloat() throws {
    let calibrated = try calibrate(experts: false).apply(to: try model(), in: try context())
    #expect(calibrated.calibration.map { Array($0.ranges.keys) } == ["model.layers.0.proj"])
    let quantized = try QuantizeActivations().apply(
      to: QuantizeWeights().apply(to: calibrated, in: context()),
      in: context()
    )
    try quantized.graph.check()
    let layers = quantized.graph.nodes.filter { $0.op.operation.name == "integer_linear" }
    let tokenwise = Op.integerLinear(IntegerLinear(activation: .int8Tokens, hasBias: false))
    #expect(layers.count == 13)
    #expect(layers.count { $0.op == tokenwise } == 12)
    let config = try #require(QuantizationConfig(describing: quantized.graph))
    #expect(config.groups.map(\.activations) == [.int8Tokens, .int8Activations])
    #expect(
      config.groups[0].targets.map(\.text)
        == ["gate", "up", "down"].map {
          #"re:model\.layers\.\d+\.mlp\.experts\.\d+\."# + $0 + "_proj$"
        }
    )
    #expect(
      config.ignored.map(\.text) == [#"re:model\.layers\.\d+\.mlp\.gate$"#, "lm_head"]
    )
    let before = try Executor(try model()).logits(Array(0..<8)).elements(as: Float.self)
    let after = try Executor(quantized).logits(Array(0..<8)).elements(as: Float.self)
    #expect(relativeError(after, before) < 0.02)
    #expect(
      message {
        var pass = QuantizeActivations()
        pass.experts = .tensor
        _ = try pass.apply(to: calibrated, in: context())
      }
        == "quantize-activations: 'model.layers.0.mlp.experts.0.gate_proj' has no calibrated range. Calibrate the experts too: calibrate: { experts: true }."
    )
  }

  @Test func theVerifierSaysWhichTokensAreRoutedAnew() throws {
    let reference = try model()
    // Another router: what expert 0 heard, expert 2 hears now.
    let swapped = Tensor(
      (0..<Self.experts * Self.hidden).map { index in
        let expert = [2: 0, 0: 2][index / Self.hidden] ?? index / Self.hidden
        return expert == index % Self.hidden % 4 ? 3 : 0
      },
      shape: [Self.experts, Self.hidden]
    )
    let candidate = Model(
      graph: reference.graph,
      source: reference.source.overlaid(with: [
        "model.layers.0.mlp.gate.weight": DerivedTensor(swapped)
      ])
    )
    func subject(_ model: Model) -> Verifier.Subject {
      Verifier.Subject(Executor(model), byteCount: model.source.manifest.totalBytes)
    }
    let windows = [Self.text, [0, 1, 2, 3]]
    let same = try Verifier().compare(subject(reference), subject(reference), windows: windows)
    #expect(same.routers?.changed == [0])
    let found = try #require(
      try Verifier().compare(subject(reference), subject(candidate), windows: windows).routers
    )
    #expect(found.reference.first?.counts == [33, 17, 1, 17])
    #expect(found.candidate.first?.counts == [1, 17, 33, 17])
    #expect(found.changed == [34])
    #expect(abs(found.changedFraction - 0.5) < 1e-12)
    #expect(found.json.array?.first?["changed_tokens"]?.int == 34)
  }
}
