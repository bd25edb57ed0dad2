import KaratEngine
import KaratGraphs
import KaratKernels
import KaratModels
import KaratTensors
import KaratTestSupport
import Testing

/// The trainer's promises: the same bytes however training came about, and clear words where it ends.
@Suite struct Training {
  @Test(arguments: TrainingOptions.Method.allCases)
  func aTrainingThatIsResumedGivesTheSameBytes(_ method: TrainingOptions.Method) throws {
    let whole = MemoryArchive()
    try train(steps: 7, method, archive: whole)
    let parts = MemoryArchive()
    // The schedule depends on all steps, so the run is cut short from outside.
    #expect(throws: Cut.self) { try train(steps: 7, method, archive: parts, cutAfter: 5) }
    try train(steps: 7, method, archive: parts)
    let (one, other) = (try #require(whole.states[7]), try #require(parts.states[7]))
    for name in one.manifest.names {
      #expect(try one.tensor(name).isIdentical(to: other.tensor(name)), "\(name.text)")
    }
    #expect(one.manifest.metadata == other.manifest.metadata)
    #expect(whole.metrics == parts.metrics)
    #expect(whole.metrics.count == 7)
    #expect(whole.states.keys.sorted() == [6, 7])
  }

  @Test func theNumberOfThreadsChangesNothing() throws {
    let (one, two) = (MemoryArchive(), MemoryArchive())
    try train(steps: 2, archive: one, threads: 1)
    try train(steps: 2, archive: two, threads: 3)
    for name in try #require(one.states[2]).manifest.names {
      #expect(
        try #require(one.states[2]).tensor(name).isIdentical(
          to: try #require(two.states[2]).tensor(name)
        )
      )
    }
  }

  @Test func learningFromFewWindowsLowersTheLoss() throws {
    let archive = MemoryArchive()
    try train(steps: 30, archive: archive, rate: 3e-3)
    let losses = archive.metrics.map(\.loss)
    #expect(losses[29] < 0.7 * losses[0])
  }

  /// Losses of rounded arithmetic are near those of float32, and nearer with more bits.
  @Test func arithmeticIsEmulated() throws {
    var losses: [TrainingOptions.Arithmetic: [Double]] = [:]
    for arithmetic in TrainingOptions.Arithmetic.allCases {
      let archive = MemoryArchive()
      try train(steps: 4, archive: archive, arithmetic: arithmetic)
      losses[arithmetic] = archive.metrics.map(\.loss)
      #expect(archive.metrics.allSatisfy { $0.lossScale == (arithmetic == .f16 ? 65_536 : 1) })
    }
    func distance(_ arithmetic: TrainingOptions.Arithmetic) throws -> Double {
      zip(try #require(losses[arithmetic]), try #require(losses[.f32])).reduce(0) {
        max($0, abs($1.0 - $1.1))
      }
    }
    let (half, brain, eight) = (try distance(.f16), try distance(.bf16), try distance(.f8))
    #expect(half > 0 && half < brain && brain < eight && eight < 0.1)
  }

  @Test func aBrokenWeightIsSaid() throws {
    let found = message { try train(steps: 1, archive: MemoryArchive(), breaking: true) }
    #expect(
      found
        == "step 1: the loss is nan and the gradient's length nan; both must be numbers. The rate, "
        + "0.001, may be too high, or a weight is broken. States that were saved before are whole."
    )
  }

  @Test func anotherTrainingIsNotResumed() throws {
    let archive = MemoryArchive()
    try train(steps: 2, archive: archive)
    let found = message { try train(steps: 2, archive: archive, seed: 4) }
    #expect(
      found
        == "the saved state belongs to another training: its seed is '3', this one's '4'. Go on as it "
        + "was begun, or remove the folder of states to begin anew."
    )
  }

  /// Blocks are computed again where memory is short, and what is learned does not depend on it.
  @Test func blocksAreComputedAgainWhereMemoryIsShort() throws {
    func trained(_ memory: MemoryBudget?) throws -> (isCheckpointing: Bool, numbers: [Float]) {
      let model = try LoadedModel.open(fixture("llama-tiny")).model
      let parameters = try ParameterSet(model.graph, model.source, on: .automatic) { _ in true }
      let task = try DecoderTask(
        model.graph,
        parameters,
        windows: [Array(1...40), Array(5...60)],
        head: try HeadLoss(model.graph),
        on: .automatic
      )
      var options = TrainingOptions()
      (options.steps, options.batch, options.saveEvery) = (2, 2, 0)
      try Trainer(task, options, seed: 1, memory: memory, on: .automatic).run()
      let numbers = parameters.trained.flatMap { item in
        (0..<item.count).map { item.values[$0] }
      }
      return (task.differentiator.isCheckpointing, numbers)
    }
    let free = try trained(nil)
    let ample = try trained(MemoryBudget(bytes: 1 << 30))
    let scarce = try trained(MemoryBudget(bytes: 1 << 20))
    #expect(!free.isCheckpointing && !ample.isCheckpointing && scarce.isCheckpointing)
    #expect(free.numbers == ample.numbers && free.numbers == scarce.numbers)
  }

  /// Each weight is multiplied once forward and twice backward: six operations for each token.
  @Test func operationsAreCounted() throws {
    let model = try LoadedModel.open(fixture("llama-tiny")).model
    let parameters = try ParameterSet(model.graph, model.source, on: .automatic) { _ in true }
    let task = try DecoderTask(
      model.graph,
      parameters,
      windows: [Array(1...24)],
      head: try HeadLoss(model.graph),
      on: .automatic
    )
    var options = TrainingOptions()
    (options.steps, options.batch, options.saveEvery) = (3, 1, 0)
    let trainer = try Trainer(task, options, seed: 1, on: .automatic)
    try trainer.run()
    let weights = model.graph.linearLayers.reduce(0) { sum, layer in
      sum + parameters[layer.weight].count
    }
    let use = trainer.use
    #expect(use.operations == Double(6 * 24 * 3 * weights))
    #expect(use.steps == 3 && use.tokens == 72)
    #expect(use.optimizerBytes == Double(3 * 32 * parameters.trainedCount))
    #expect(use.peakBytes > 1 << 20)
  }

  @Test func tokensBeyondTheVocabularyAreSaid() throws {
    let model = try LoadedModel.open(fixture("llama-tiny")).model
    let parameters = try ParameterSet(model.graph, model.source, on: .automatic) { _ in true }
    for token in [Int32(-1), 320] {
      let found = message {
        _ = try DecoderTask(
          model.graph,
          parameters,
          windows: [[1, 2, token]],
          head: try HeadLoss(model.graph),
          on: .automatic
        )
      }
      #expect(
        found
          == "token \(token) is not in the model's vocabulary of 320. Do the data belong to another "
          + "model?"
      )
    }
  }

  @Test func optionsThatCannotBeFollowedAreSaid() throws {
    var options = TrainingOptions()
    options.learningRate = -1
    #expect(options.fault == "learning-rate is -1.0; a positive number is needed.")
    options = TrainingOptions()
    options.batch = 0
    #expect(options.fault == "batch is 0; a whole number from 1 is needed.")
  }

  private struct Cut: Error {}

  private func train(
    steps: Int,
    _ method: TrainingOptions.Method = .adamW,
    archive: MemoryArchive,
    cutAfter cut: Int = .max,
    threads: Int = 2,
    rate: Double = 1e-3,
    arithmetic: TrainingOptions.Arithmetic = .f32,
    breaking: Bool = false,
    seed: UInt64 = 3
  ) throws {
    let model = try LoadedModel.open(fixture("llama-tiny")).model
    let workers = Workers(threads: threads)
    let parameters = try ParameterSet(model.graph, model.source, on: workers) { _ in true }
    if breaking { parameters.items[1].values[0] = .nan }
    var numbers = Numbers(seed: 8)
    let windows = (0..<6).map { index in
      (0..<(10 + index)).map { _ in Int32(numbers.next() % 300) }
    }
    let task = try DecoderTask(
      model.graph,
      parameters,
      windows: windows,
      head: try HeadLoss(model.graph),
      on: workers
    )
    var options = TrainingOptions(arithmetic)
    (options.steps, options.batch, options.microBatch) = (steps, 4, 2)
    (options.optimizer, options.learningRate, options.saveEvery) = (method, rate, 3)
    (options.weightDecay, options.warmup) = (0.1, 0)
    try Trainer(task, options, seed: seed, archive: archive, on: workers).run { metrics in
      if metrics.step == cut { throw Cut() }
    }
  }
}

extension TrainingOptions {
  fileprivate init(_ arithmetic: Arithmetic) {
    self.init()
    self.arithmetic = arithmetic
  }
}
