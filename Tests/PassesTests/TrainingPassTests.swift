import Karat
import KaratEngine
import KaratGraphs
import KaratKernels
import KaratPasses
import KaratTensors
import KaratTestSupport
import Testing

/// Passes that train: what is written is what was trained, and training helps.
@Suite struct TrainingPasses {
  /// The graph that learns and the integer model that is written compute the same bits.
  @Test(arguments: ["llama-tiny", "qwen2-tiny", "qwen3-moe-tiny", "deepseek-v3-tiny"])
  func whatIsWrittenIsWhatWasTrained(_ name: String) throws {
    let quantized = try quantize(try LoadedModel.open(fixture(name)), QuantizeActivations())
    let (graph, layers) = try quantized.model.graph.withRoundedWeights()
    #expect(!layers.isEmpty)
    let unrounded = try #require(quantized.model.unrounded)
    var source = quantized.model.source
    for layer in layers {
      let weight = try unrounded.tensor(layer.weight)
      source = source.overlaid(with: [layer.weight: DerivedTensor(weight)])
    }
    let trained = Model(graph: graph, source: source)
    let ids = try Expected("\(name)/expected.safetensors").ids("input_ids")
    for sequence in ids {
      let (one, other) = (
        try Executor(quantized.model).logits(sequence), try trained.differentiatedLogits(sequence)
      )
      #expect(one.isIdentical(to: other))
    }
  }

  @Test(arguments: QuantizationAwareTraining.Ranges.allCases)
  func trainingBringsAQuantizedModelCloser(_ ranges: QuantizationAwareTraining.Ranges) throws {
    let model = try LoadedModel.open(fixture("alice"))
    var weights = QuantizeWeights()
    weights.bits = 4
    let (before, after) = try trained(model, weights, ranges)
    #expect(after < 0.8 * before, "\(before) to \(after)")
  }

  @Test func weightsAloneAreTrainedToo() throws {
    let model = try LoadedModel.open(fixture("alice"))
    var weights = QuantizeWeights()
    weights.bits = 4
    let (before, after) = try trained(model, weights, .learned, activations: nil)
    #expect(after < 0.8 * before, "\(before) to \(after)")
  }

  @Test func withoutQuantizedLayersThereIsNothingToTrain() throws {
    let model = try LoadedModel.open(fixture("llama-tiny"))
    let found = message {
      _ = try QuantizationAwareTraining().apply(
        to: model.model,
        in: context(of: model, tokens: 100)
      )
    }
    #expect(
      found
        == "quantization-aware-training: no layer of the model is quantized. Put 'quantize-weights' "
        + "before this pass."
    )
  }

  @Test func aTextShorterThanAWindowIsSaid() throws {
    let model = try quantize(try LoadedModel.open(fixture("llama-tiny")), nil)
    let found = message {
      _ = try QuantizationAwareTraining().apply(
        to: model.model,
        in: context(of: model, tokens: 100)
      )
    }
    #expect(
      found
        == "text: the calibration text has 100 tokens; one window needs 512. Give more text, or ask "
        + "for shorter windows."
    )
  }

  // MARK: Distillation

  @Test func aStudentComesCloserToItsTeacher() throws {
    let teacher = try LoadedModel.open(fixture("alice"))
    var pass = Distil()
    pass.layers = teacher.config["num_hidden_layers"]?.int.map { $0 - 1 }
    let before = try distil(teacher, pass, steps: 1, rate: 1e-9)
    let after = try distil(teacher, pass, steps: 100, rate: 2e-3)
    let stored = try {
      pass.top = 32
      return try distil(teacher, pass, steps: 100, rate: 2e-3)
    }()
    #expect(after < 0.6 * before, "\(before) to \(after)")
    #expect(stored < 0.7 * before, "\(before) to \(stored)")
  }

  /// The student learns on what the teacher wrote, as long as the windows asked for.
  @Test func aTeacherWritesWhatTheStudentLearnsOn() throws {
    let teacher = try LoadedModel.open(fixture("alice"))
    var pass = Distil()
    (pass.layers, pass.written) = (3, 24)
    let archive = MemoryArchive()
    var pipeline = self.pipeline(pass, of: teacher, steps: 20, rate: 2e-3)
    pipeline.calibration = Array(try text(of: teacher).prefix(1_024))
    pipeline.archive = archive
    _ = try pipeline.run(teacher)
    #expect(archive.metrics.allSatisfy { $0.tokens == 8 * 32 })
    #expect(archive.metrics[19].loss < 0.7 * archive.metrics[0].loss)
  }

  @Test func statesOfANarrowerStudentAreProjected() throws {
    let teacher = try LoadedModel.open(fixture("llama-tiny"))
    var pass = Distil()
    (pass.hidden, pass.states, pass.relations) = (32, 1, 1)
    let archive = MemoryArchive()
    var pipeline = self.pipeline(pass, of: teacher, steps: 20, rate: 3e-3)
    pipeline.archive = archive
    let outcome = try pipeline.run(teacher)
    #expect(outcome.owner.config["hidden_size"]?.int == 32)
    let losses = archive.metrics.map(\.losses)
    for index in losses[0].indices {
      #expect(losses[19][index].mean < losses[0][index].mean, "\(losses[0][index].name)")
    }
    #expect(outcome.model.source.manifest.names.allSatisfy { !$0.text.hasPrefix("projection") })
  }

  @Test func anEncodersStudentComesCloser() throws {
    let teacher = try LoadedModel.open(fixture("bert-tiny"))
    var pass = Distil()
    pass.keepLayers = [0, 2]
    let archive = MemoryArchive()
    var pipeline = self.pipeline(pass, of: teacher, steps: 30, rate: 2e-3)
    pipeline.archive = archive
    var numbers = Numbers(seed: 2)
    pipeline.calibrationSequences = (0..<12).map { _ in
      (0..<(4 + Int(numbers.next() % 9))).map { _ in Int32(numbers.next() % 300) }
    }
    _ = try pipeline.run(teacher)
    #expect(archive.metrics[29].loss < 0.5 * archive.metrics[0].loss)
  }

  /// Experts of random weights are uneven; both ways of balancing make them less so.
  @Test(arguments: [(0.5, 0.0), (0.0, 0.05)])
  func expertsAreBalanced(_ balance: Double, _ biasRate: Double) throws {
    let teacher = try LoadedModel.open(fixture("deepseek-v3-tiny"))
    var pass = Distil()
    (pass.balance, pass.biasRate) = (balance, biasRate)
    pass.keepLayers = [0, 1]
    let before = try variation(try pipeline(pass, of: teacher, steps: 1, rate: 1e-9).run(teacher))
    let after = try variation(try pipeline(pass, of: teacher, steps: 30, rate: 1e-3).run(teacher))
    #expect(after < 0.8 * before, "\(before) to \(after)")
  }

  // MARK: Support

  private func variation(_ outcome: Pipeline.Outcome) throws -> Double {
    let executor = Executor(outcome.model)
    let router = try #require(outcome.model.graph.routers.first)
    var statistics = RouterStatistics(router: router.path, experts: router.experts)
    for window in tokens(of: outcome.owner, count: 512).chunks(of: 32) {
      try executor.run(
        given: try executor.given(TokenBatch([window])),
        binding: Binding(batch: 1, length: window.count),
        wanted: [router.choices]
      ) { statistics.add($1) }
    }
    return statistics.variation
  }

  private func tokens(of model: LoadedModel, count: Int) -> [Int32] {
    var numbers = Numbers(seed: 21)
    let vocabulary = UInt64(model.config["vocab_size"]?.int ?? 300)
    // Some tokens come more often than others, as in a text.
    return (0..<count).map { _ in
      Int32(
        min(
          numbers.next() % vocabulary,
          min(numbers.next() % vocabulary, numbers.next() % vocabulary)
        )
      )
    }
  }

  private func context(of model: LoadedModel, tokens count: Int) -> PassContext {
    var context = PassContext(calibrationTokens: tokens(of: model, count: count))
    context.calibrationName = "text"
    context.reference = model.model
    return context
  }

  private func quantize(
    _ model: LoadedModel,
    _ activations: QuantizeActivations?
  ) throws -> LoadedModel {
    var context = context(of: model, tokens: 512)
    context.ignored = try LayerFilter(["lm_head", #"re:.*\.kv_b_proj$"#])
    var calibrate = Calibrate(observer: .minmax)
    (calibrate.windows, calibrate.length) = (8, 32)
    var result = model
    let passes: [any Pass] = [calibrate, QuantizeWeights()] + (activations.map { [$0] } ?? [])
    for pass in passes { result.model = try pass.apply(to: result.model, in: context) }
    return result
  }

  /// The divergence from the model in float before and after training.
  private func trained(
    _ model: LoadedModel,
    _ weights: QuantizeWeights,
    _ ranges: QuantizationAwareTraining.Ranges,
    activations: QuantizeActivations? = QuantizeActivations()
  ) throws -> (before: Double, after: Double) {
    var pass = QuantizationAwareTraining()
    pass.ranges = ranges
    pass.training.learningRate = 2e-4
    (pass.training.steps, pass.training.batch, pass.training.length) = (60, 8, 64)
    let passes: [any Pass] =
      [Calibrate(observer: .minmax), weights] + (activations.map { [$0] } ?? []) + [pass]
    var pipeline = Pipeline(Recipe(passes: passes, ignored: ["lm_head"], seed: 3))
    let text = try text(of: model)
    pipeline.calibration = Array(text.prefix(32_768))
    pipeline.calibrationName = "text"
    pipeline.heldOut = Array(text.dropFirst(32_768).prefix(4_096)).chunks(of: 64)
    pipeline.maximumDrop = .infinity
    let findings = try pipeline.run(model).findings.compactMap { $0.findings as? Findings }
    return (
      findings[findings.count - 2].divergence.mean, findings[findings.count - 1].divergence.mean
    )
  }

  private func text(of model: LoadedModel) throws -> [Int32] {
    let text = try TextFile(fixture("text/botchan-calibration.txt")).text
    return try model.tokenizer().encode(text, addSpecialTokens: false)
  }

  private func pipeline(
    _ pass: Distil,
    of model: LoadedModel,
    steps: Int,
    rate: Double
  ) -> Pipeline {
    var pass = pass
    (pass.training.steps, pass.training.batch, pass.training.length) = (steps, 8, 32)
    pass.training.learningRate = rate
    var pipeline = Pipeline(Recipe(passes: [pass], seed: 3))
    pipeline.calibration = tokens(of: model, count: 1_024)
    return pipeline
  }

  private func distil(
    _ teacher: LoadedModel,
    _ pass: Distil,
    steps: Int,
    rate: Double
  ) throws -> Double {
    var pipeline = pipeline(pass, of: teacher, steps: steps, rate: rate)
    let text = try text(of: teacher)
    pipeline.calibration = Array(text.prefix(8_192))
    pipeline.heldOut = Array(text.dropFirst(8_192).prefix(2_048)).chunks(of: 64)
    pipeline.maximumDrop = .infinity
    var divergence = Double.infinity
    try inTemporaryFolder { folder in
      pipeline.teacherFolder = folder
      let findings = try pipeline.run(teacher).last as? Findings
      divergence = try #require(findings).divergence.mean
    }
    return divergence
  }
}

extension Array {
  fileprivate func chunks(of size: Int) -> [[Element]] {
    stride(from: 0, through: count - size, by: size).map { Array(self[$0..<$0 + size]) }
  }
}

extension Model {
  /// The logits that the training engine's forward run gives.
  fileprivate func differentiatedLogits(_ tokens: [Int32]) throws -> Tensor {
    let logits = try #require(graph.named["logits"])
    let ids = try #require(graph.named["input_ids"])
    let capture = Capture(value: logits)
    let parameters = try ParameterSet(graph, source, on: .automatic) { _ in false }
    _ = try Differentiator(graph, parameters, given: [ids], losses: [capture], on: .automatic).run(
      given: [ids: Tensor(.i32, [1, tokens.count], copying: tokens)],
      binding: Binding(batch: 1, length: tokens.count)
    )
    return try #require(capture.seen)
  }
}

/// Keeps what it is shown.
private final class Capture: Loss {
  let name = "capture"
  let weight = 1.0
  let values: [ValueID]
  var seen: Tensor?

  init(value: ValueID) { values = [value] }

  func evaluate(_ run: LossEvaluation) throws -> Double {
    seen = run.values[0].copied()
    return 0
  }
}
