import Karat
import KaratEngine
import KaratGraphs
import KaratKernels
import KaratPasses
import KaratTensors
import KaratTestSupport
import Testing

/// Training of quantized models that is interrupted, repeated or computed again gives the same bits.
@Suite struct TrainingContinuity {
  /// What is trained again begins where the training before it ended.
  @Test(arguments: [false, true])
  func trainingGoesOnFromWhatWasTrained(_ blocks: Bool) throws {
    let model = try quantize(try LoadedModel.open(fixture("alice")), QuantizeActivations())
    func trained(_ model: Model, blocks: Bool, steps: Int, rate: Double) throws -> Model {
      var pass = QuantizationAwareTraining()
      (pass.blocks, pass.training.steps, pass.training.length) = (blocks, steps, 32)
      (pass.training.learningRate, pass.rangeRate) = (rate, rate)
      var context = context(of: try LoadedModel.open(fixture("alice")), tokens: 512)
      context.seed = 1
      return try pass.apply(to: model, in: context)
    }
    let first = try trained(model.model, blocks: blocks, steps: 4, rate: 1e-2)
    let second = try trained(first, blocks: false, steps: 1, rate: 1e-12)
    var changes = 0
    for name in first.source.manifest.names {
      let tensor = try first.source.tensor(name)
      let next = try second.source.tensor(name)
      // What no block reads was not trained before, and had the checkpoint's type.
      let own = next.dtype == tensor.dtype ? tensor : tensor.asFloat32(on: .automatic)
      #expect(next.isIdentical(to: own), "\(name)")
      if try !model.model.source.tensor(name).isIdentical(to: tensor) { changes += 1 }
    }
    #expect(changes > 8)
  }

  /// Blocks that were trained before an interruption are not trained again, and change nothing.
  @Test(arguments: [0, 1])
  func blocksGoOnAfterAnInterruption(_ block: Int) throws {
    let model = try quantize(try LoadedModel.open(fixture("llama-tiny")), QuantizeActivations())
    func train(_ archive: MemoryArchive, cutAfter cut: Int = .max) throws -> Model {
      var context = context(of: try LoadedModel.open(fixture("llama-tiny")), tokens: 512)
      context.archive = archive
      var pass = QuantizationAwareTraining()
      (pass.blocks, pass.channelRate) = (true, 0.02)
      (pass.training.steps, pass.training.batch, pass.training.length) = (4, 2, 32)
      pass.training.saveEvery = 2
      if cut < .max { context.archive = CutArchive(archive, after: cut) }
      return try pass.apply(to: model.model, in: context)
    }
    let whole = try train(MemoryArchive())
    let archive = MemoryArchive()
    #expect(throws: CutArchive.Cut.self) { _ = try train(archive, cutAfter: block) }
    let resumed = try train(archive)
    for name in whole.source.manifest.names {
      #expect(try whole.source.tensor(name).isIdentical(to: resumed.source.tensor(name)))
    }
  }

  /// Channels move scales that do not learn themselves, and these are written and kept too.
  @Test(arguments: [QuantizationAwareTraining.Ranges.fixed, .observed])
  func scalesMoveWithTheirChannels(_ ranges: QuantizationAwareTraining.Ranges) throws {
    let model = try LoadedModel.open(fixture("alice"))
    let quantized = try quantize(model, QuantizeActivations())
    func train(_ archive: MemoryArchive, cutAfter cut: Int = .max) throws -> Model {
      var context = context(of: model, tokens: 512)
      context.archive = cut < .max ? CutArchive(archive, after: cut) : archive
      var pass = QuantizationAwareTraining()
      (pass.blocks, pass.ranges, pass.channelRate) = (true, ranges, 0.1)
      (pass.training.steps, pass.training.length, pass.training.saveEvery) = (4, 32, 2)
      return try pass.apply(to: quantized.model, in: context)
    }
    let whole = try train(MemoryArchive())
    let archive = MemoryArchive()
    #expect(throws: CutArchive.Cut.self) { _ = try train(archive, cutAfter: 1) }
    let resumed = try train(archive)
    var moved = 0
    for name in whole.source.manifest.names {
      let tensor = try whole.source.tensor(name)
      #expect(try resumed.source.tensor(name).isIdentical(to: tensor), "\(name)")
      if name.text.hasSuffix("up_proj.weight_scale") {
        moved += try quantized.model.source.tensor(name).isIdentical(to: tensor) ? 0 : 1
      }
    }
    #expect(moved == 4)
    // Codes and scales belong together: what was written is about as close as before.
    func error(_ other: Model) throws -> Float {
      let tokens = tokens(of: model, count: 32)
      return relativeError(
        try Executor(other).logits(tokens).elements(as: Float.self),
        try Executor(model.model).logits(tokens).elements(as: Float.self)
      )
    }
    if ranges == .fixed { #expect(try error(whole) < 2 * error(quantized.model)) }
  }

  /// Computing blocks again shows observers nothing twice.
  @Test func observedRangesAreTheSameWhereBlocksAreRecomputed() throws {
    let model = try LoadedModel.open(fixture("llama-tiny"))
    let quantized = try quantize(model, QuantizeActivations())
    func train(_ recompute: Bool) throws -> Model {
      var pass = QuantizationAwareTraining()
      pass.ranges = .observed
      (pass.training.steps, pass.training.length) = (10, 32)
      pass.training.recompute = recompute
      return try pass.apply(to: quantized.model, in: context(of: model, tokens: 512))
    }
    let (one, other) = (try train(false), try train(true))
    for name in one.source.manifest.names {
      #expect(try one.source.tensor(name).isIdentical(to: other.source.tensor(name)), "\(name)")
    }
  }
}

/// An archive that breaks off once a block with a number has kept its first state.
struct CutArchive: TrainingArchive {
  struct Cut: Error {}
  private let archive: any TrainingArchive
  private let block: Int
  private let isCut: Bool

  init(_ archive: any TrainingArchive, after block: Int, isCut: Bool = false) {
    self.archive = archive
    self.block = block
    self.isCut = isCut
  }

  func part(_ name: String) -> any TrainingArchive {
    CutArchive(archive.part(name), after: block, isCut: name == "block-\(block)")
  }

  func newest() throws -> (any TensorSource)? { try archive.newest() }

  func save(_ state: any TensorSource, step: Int, keeping count: Int) throws {
    try archive.save(state, step: step, keeping: count)
    if isCut { throw Cut() }
  }

  func append(_ metrics: TrainingMetrics) throws { try archive.append(metrics) }
  func rewind(to step: Int) throws { try archive.rewind(to: step) }
}
