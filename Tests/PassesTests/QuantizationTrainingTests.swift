import Karat
import KaratEngine
import KaratGraphs
import KaratKernels
import KaratPasses
import KaratTensors
import KaratTestSupport
import Testing

/// Quantization-aware training: what is written is what was trained, and training helps.
@Suite struct QuantizationTrainings {
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
    var pass = QuantizationAwareTraining()
    pass.ranges = ranges
    let (before, after) = try trained(model, weights, pass)
    #expect(after < 0.8 * before, "\(before) to \(after)")
  }

  @Test func weightsAloneAreTrainedToo() throws {
    let model = try LoadedModel.open(fixture("alice"))
    var weights = QuantizeWeights()
    weights.bits = 4
    let (before, after) = try trained(
      model,
      weights,
      QuantizationAwareTraining(),
      activations: nil
    )
    #expect(after < 0.8 * before, "\(before) to \(after)")
  }

  /// Block by block the states come close to the teacher's, and with them what the model predicts.
  @Test func blocksAreTrainedOneAfterTheOther() throws {
    let model = try LoadedModel.open(fixture("alice"))
    var weights = QuantizeWeights()
    weights.bits = 4
    var pass = QuantizationAwareTraining()
    (pass.blocks, pass.channelRate) = (true, 0.01)
    let (before, after) = try trained(model, weights, pass, steps: 30)
    #expect(after < 0.8 * before, "\(before) to \(after)")
  }

  /// Symmetric activations have no zero points, and none is looked for.
  @Test(arguments: QuantizationAwareTraining.Ranges.allCases)
  func symmetricActivationsAreTrained(_ ranges: QuantizationAwareTraining.Ranges) throws {
    let model = try LoadedModel.open(fixture("alice"))
    var weights = QuantizeWeights()
    weights.bits = 4
    var activations = QuantizeActivations()
    activations.symmetric = true
    var pass = QuantizationAwareTraining()
    pass.ranges = ranges
    let (before, after) = try trained(model, weights, pass, activations: activations)
    #expect(after < 0.8 * before, "\(before) to \(after)")
  }

  /// What the teacher writes is learned on too: one window and eleven others.
  @Test(arguments: [false, true])
  func aTeacherWritesForTheQuantizedModel(_ blocks: Bool) throws {
    let model = try quantize(try LoadedModel.open(fixture("llama-tiny")), QuantizeActivations())
    func metrics(written: Int) throws -> [TrainingMetrics] {
      let archive = MemoryArchive()
      var context = context(of: try LoadedModel.open(fixture("llama-tiny")), tokens: 48)
      context.archive = archive
      var pass = QuantizationAwareTraining()
      (pass.blocks, pass.written) = (blocks, written)
      (pass.training.steps, pass.training.batch, pass.training.length) = (3, 12, 48)
      _ = try pass.apply(to: model.model, in: context)
      return archive.metrics + (0..<3).flatMap { archive["block-\($0)"].metrics }
    }
    // Six tokens of the text begin each, and there are eight such beginnings.
    let (written, alone) = (try metrics(written: 11), try metrics(written: 0))
    #expect(written.count == (blocks ? 9 : 3) && written.allSatisfy { $0.tokens == 9 * 48 })
    #expect(alone.count == written.count && alone.allSatisfy { $0.tokens == 48 })
  }

  @Test func anEncoderWritesNothing() throws {
    let model = try quantize(try LoadedModel.open(fixture("bert-tiny")), QuantizeActivations())
    var pass = QuantizationAwareTraining()
    pass.written = 4
    #expect(
      message { _ = try pass.apply(to: model.model, in: context(of: model, tokens: 64)) }
        == "quantization-aware-training: written is 4, and the model is an encoder, which writes no text. Leave it out."
    )
  }

  /// Moving factors between what makes a value and what reads it changes nothing in floating point.
  @Test(arguments: ["llama-tiny", "qwen2-tiny", "qwen3-tiny", "deepseek-v2-tiny", "bert-tiny"])
  func channelsAreRescaledWithoutChangingTheModel(_ name: String) throws {
    let model = try quantize(try LoadedModel.open(fixture(name)), QuantizeActivations())
    let quantized = try TrainableQuantization(
      model.model,
      counting: .learnedStepSize,
      on: .automatic
    ) { _, _ in
      true
    } isRangeTrained: {
      true
    }
    let channels = try LearnedChannelScales(of: quantized, on: .automatic)
    #expect(!channels.items.isEmpty)
    let twin = try quantized.graph.inFloatingPoint()
    func outputs() throws -> [Float] {
      let source = MemorySource(
        Dictionary(uniqueKeysWithValues: quantized.parameters.items.map { ($0.name, $0.tensor) })
      )
      let executor = Executor(Model(graph: twin, source: source))
      var outputs: [Float] = []
      let result = twin.isEncoder ? "sentence_embedding" : "logits"
      let ids: [Int32] = [2, 30, 7, 19, 4]
      try executor.run(
        given: try executor.given(TokenBatch([ids])),
        binding: Binding(batch: 1, length: ids.count),
        wanted: [try #require(twin.named[result])]
      ) { _, operand in
        outputs = Array(UnsafeBufferPointer(start: operand.floats, count: operand.count))
      }
      return outputs
    }
    let before = try outputs()
    var numbers = Numbers(seed: 17)
    for item in channels.items {
      for index in 0..<item.count { item.values[index] = numbers.floats(1, size: 1)[0] }
    }
    channels.fold()
    let after = try outputs()
    let largest = before.reduce(0) { max($0, abs($1)) }
    for (before, after) in zip(before, after) { #expect(abs(before - after) <= 2e-5 * largest) }
    #expect(
      channels.items.allSatisfy { item in (0..<item.count).allSatisfy { item.values[$0] == 0 } }
    )
  }

  /// The gradient of a logarithm is what the loss changes by when its factor is moved into the weights.
  @Test func gradientsOfChannels() throws {
    let model = try quantize(try LoadedModel.open(fixture("llama-tiny")), nil)
    let quantized = try TrainableQuantization(
      model.model,
      counting: .learnedStepSize,
      on: .automatic
    ) { _, _ in
      true
    } isRangeTrained: {
      false
    }
    let channels = try LearnedChannelScales(of: quantized, on: .automatic)
    var numbers = Numbers(seed: 23)
    // A loss that is linear in every parameter: its gradients are the factors.
    for item in quantized.parameters.trained {
      for index in 0..<item.count { item.gradient?[index] = numbers.floats(1)[0] }
    }
    func loss() -> Double {
      var sum = 0.0
      for item in quantized.parameters.trained {
        guard let gradient = item.gradient else { continue }
        for index in 0..<item.count { sum += Double(item.values[index]) * Double(gradient[index]) }
      }
      return sum
    }
    channels.addGradients()
    let step: Float = 1e-2
    for (item, fanIn) in zip(channels.items, channels.fanIns).prefix(4) {
      for channel in [0, item.count / 2, item.count - 1] {
        let expected = Double(item.gradient?[channel] ?? 0) * fanIn.squareRoot()
        item.values[channel] = step
        channels.fold()
        let above = loss()
        item.values[channel] = -2 * step
        channels.fold()
        let below = loss()
        item.values[channel] = step
        channels.fold()
        let found = (above - below) / Double(2 * step)
        #expect(
          abs(found - expected) <= 0.01 * max(abs(expected), 0.1),
          "\(found), not \(expected)"
        )
      }
    }
  }

  /// An encoder's vectors come closer to those of the model in floating point.
  @Test func encodersAreTrained() throws {
    let model = try quantize(try LoadedModel.open(fixture("bert-tiny")), QuantizeActivations())
    var context = context(of: model, tokens: 512)
    let original = try LoadedModel.open(fixture("bert-tiny")).model
    context.reference = original
    context.calibrationSequences = context.calibrationTokens.chunks(of: 12)
    let archive = MemoryArchive()
    context.archive = archive
    var pass = QuantizationAwareTraining()
    (pass.training.steps, pass.training.batch, pass.channelRate) = (40, 8, 0.01)
    pass.training.learningRate = 1e-4
    let result = try pass.apply(to: model.model, in: context)
    #expect(archive.metrics[39].loss < 0.8 * archive.metrics[0].loss)
    #expect(result.graph == model.model.graph)
    pass.text = 1
    #expect(
      message { _ = try pass.apply(to: model.model, in: context) }
        == "quantization-aware-training: text is 1.0; an encoder predicts no text. It learns from its "
        + "teacher: text: 0."
    )
    (pass.text, pass.blocks) = (0, true)
    #expect(
      message { _ = try pass.apply(to: model.model, in: context) }
        == "quantization-aware-training: blocks is true, and the model is an encoder, which is trained as "
        + "a whole. Leave it out."
    )
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

  // MARK: Support

  /// The divergence from the model in float before and after training.
  private func trained(
    _ model: LoadedModel,
    _ weights: QuantizeWeights,
    _ pass: QuantizationAwareTraining,
    steps: Int = 60,
    activations: QuantizeActivations? = QuantizeActivations()
  ) throws -> (before: Double, after: Double) {
    var pass = pass
    pass.training.learningRate = 2e-4
    (pass.training.steps, pass.training.batch, pass.training.length) = (steps, 8, 64)
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
