import KaratBytes
import KaratDatasets
import KaratEngine
import KaratGraphs
import KaratKernels
import KaratTensors

/// One training of a quantized model: as a whole, or block by block.
struct QuantizationTraining {
  private let pass: QuantizationAwareTraining
  private let model: Model
  private let context: PassContext
  private let workers: Workers

  init(_ pass: QuantizationAwareTraining, _ model: Model, _ context: PassContext) {
    self.pass = pass
    self.model = model
    self.context = context
    workers = context.threads.map { Workers(threads: $0) } ?? .automatic
  }

  /// Trains a decoder to predict what its teacher predicts, or the text.
  func trainDecoder() throws -> Model {
    let quantized = try prepared(block: nil)
    let graph = quantized.graph
    let head = try HeadLoss(graph, labelWeight: pass.text, teacherWeight: pass.teacher)
    let windows = try windows()
    let teaching =
      pass.teacher > 0
      ? try context.teaching(
        try teacher(),
        of: graph,
        QuantizationAwareTraining.name,
        windows: windows,
        top: pass.top
      ).target : nil
    let task = try DecoderTask(
      graph,
      quantized.parameters,
      windows: windows,
      head: head,
      teacher: teaching,
      on: workers
    )
    report(try train(task, quantized, context.archive))
    return quantized.model(from: model)
  }

  /// Trains an encoder to give its teacher's vectors for texts.
  func trainEncoder() throws -> Model {
    guard !context.calibrationSequences.isEmpty else {
      throw DatasetError("\(context.calibrationName): there is no text to learn from.")
    }
    try pass.require(
      pass.text == 0,
      "text is \(pass.text); an encoder predicts no text. It learns from its teacher: text: 0."
    )
    try pass.require(
      pass.top == 0,
      "top is \(pass.top); an encoder predicts no tokens that could be stored. Leave it out."
    )
    let quantized = try prepared(block: nil)
    let teacher = try teacher()
    guard let vectors = quantized.graph.named["sentence_embedding"],
      let other = teacher.graph.named["sentence_embedding"]
    else {
      throw PassError(QuantizationAwareTraining.name, "the encoder gives no vectors of texts.")
    }
    let executor = Executor(teacher, threads: context.threads, memory: context.memory)
    let states = TeacherStates(executor, [other])
    let loss = StateLoss("vectors", vectors, .cosine, weight: pass.teacher, isPerSequence: true) {
      states[other]
    }
    let task = try EncoderTask(
      quantized.graph,
      quantized.parameters,
      texts: context.calibrationSequences,
      losses: [loss],
      on: workers
    ) { try states.run($0) }
    report(try train(task, quantized, context.archive))
    return quantized.model(from: model)
  }

  /// Trains block after block to give the states of the teacher's blocks, on the states that the blocks
  /// before it give now (BRECQ, Li et al., 2021; OmniQuant, Shao et al., 2024).
  func trainBlocks() throws -> Model {
    try pass.require(
      !model.graph.isEncoder,
      "blocks is true, and the model is an encoder, which is trained as a whole. Leave it out."
    )
    try pass.require(
      pass.text == 0 && pass.top == 0 && !pass.embeddings,
      "text, top and embeddings are about predictions, and blocks learn from states. Leave them out, or "
        + "train the whole in another pass."
    )
    let windows = try blockWindows()
    let learned = try LearnedSource(model.source, isFiled: context.memory != nil)
    var student = model
    student.source = learned
    let teacher = try teacher()
    let half = context.memory?.divided(by: 2)
    func run(_ model: Model) throws -> StagedRun {
      try StagedRun(Executor(model, threads: context.threads, memory: half), windows: windows)
    }
    var (own, other) = (try run(student), try run(teacher))
    let (stages, targets) = (model.graph.stages, teacher.graph.stages)
    try pass.require(
      stages.map(\.block) == targets.map(\.block),
      "the teacher has \(targets.count) stages and the model \(stages.count); blocks learn from theirs. "
        + "Leave out blocks, or name a teacher of the same layers."
    )
    var use = TrainingUse()
    for (index, stage) in stages.enumerated() {
      context.progress.report(QuantizationAwareTraining.name, index, of: stages.count, "blocks")
      try other.run(targets[index])
      if let block = stage.block, let name = model.graph.output(ofBlock: block) {
        let quantized = try prepared(block: block)
        if !quantized.layers.isEmpty {
          let task = try blockTask(quantized, name, stage, windows) { value, window in
            try value.map { try own.state($0, window: window) }
              ?? other.state(try named(name, in: teacher), window: window)
          }
          use.add(try train(task, quantized, context.archive, block: block))
          try learned.learn(quantized.learned(in: model.source.manifest))
        }
      }
      try own.run(stage)
    }
    report(use)
    // Where weights were before they were rounded is not where they are now.
    student.unrounded = nil
    return student
  }

  /// The windows that blocks learn from: those of all steps, since both models run over each of them.
  private func blockWindows() throws -> [[Int32]] {
    let windows = try windows()
    let (count, overflow) = pass.training.steps.multipliedReportingOverflow(by: pass.training.batch)
    guard !overflow, count < windows.count else { return windows }
    var generator = SeededGenerator(seed: context.seed)
    return windows.shuffled(using: &generator).prefix(count).map(\.self)
  }

  // `states` gives a value that the block reads, or, for nil, what it is to give.
  private func blockTask(
    _ quantized: TrainableQuantization,
    _ output: String,
    _ stage: Stage,
    _ windows: [[Int32]],
    states: @escaping (ValueID?, Int) throws -> Tensor
  ) throws -> BlockTask {
    let graph = quantized.graph
    // Both graphs have the same blocks, and what crosses between these in the same order.
    guard let twin = graph.stages.first(where: { $0.block == stage.block }),
      twin.inputs.count == stage.inputs.count
    else { preconditionFailure("weights that are rounded change no block's inputs") }
    let inputs = Dictionary(uniqueKeysWithValues: zip(twin.inputs, stage.inputs))
    return BlockTask(
      graph,
      quantized.parameters,
      inputs: twin.inputs,
      output: try named(output, in: quantized.graph),
      lengths: windows.map(\.count),
      measure: .relative,
      on: workers
    ) { value, window in try states(inputs[value], window) }
  }

  private func named(_ name: String, in graph: Graph) throws -> ValueID {
    guard let value = graph.named[name] else {
      throw PassError(
        QuantizationAwareTraining.name,
        "a model gives no \(name), which is to be compared."
      )
    }
    return value
  }

  private func named(_ name: String, in model: Model) throws -> ValueID {
    try named(name, in: model.graph)
  }

  private func teacher() throws -> Model {
    guard let reference = context.reference else {
      throw PassError(
        QuantizationAwareTraining.name,
        "there is no teacher. Name one, or learn from the text alone: teacher: 0, text: 1."
      )
    }
    try pass.require(
      reference.graph != model.graph,
      "the model is quantized already, and would be its own teacher. Name the model that it was made of: "
        + "karat qat --teacher MODEL. Or, not block by block, learn from the text: teacher: 0, text: 1."
    )
    return reference
  }

  // MARK: What all of them share

  private func windows() throws -> [[Int32]] {
    try context.trainingWindows(
      length: pass.training.length,
      written: pass.written,
      by: try teacher()
    )
  }

  private func prepared(block: Int?) throws -> TrainableQuantization {
    try TrainableQuantization(
      model,
      counting: pass.ranges == .clipped ? .clipping : .learnedStepSize,
      block: block,
      on: workers
    ) { name, graph in
      pass.embeddings || !graph.isEmbeddingOrHead(name)
    } isRangeTrained: {
      pass.ranges == .learned || pass.ranges == .clipped
    }
  }

  private func train(
    _ task: any TrainingTask,
    _ quantized: TrainableQuantization,
    _ archive: (any TrainingArchive)?,
    block: Int? = nil
  ) throws -> TrainingUse {
    let channels =
      pass.channelRate > 0 ? try LearnedChannelScales(of: quantized, on: workers) : nil
    task.hooks.companions = channels?.items ?? []
    task.hooks.remembered = channels?.movedScales ?? []
    task.hooks.groups = quantized.groups(
      TrainableQuantization.Rates(
        codes: pass.codeRate,
        ranges: pass.rangeRate,
        channels: channels?.rates(pass.channelRate) ?? [:]
      ),
      learningRate: pass.training.learningRate
    )
    task.hooks.finishGradients = { channels?.addGradients() }
    task.hooks.finish = {
      channels?.fold()
      quantized.mendRanges()
    }
    if pass.ranges == .observed {
      let layers = quantized.observed
      task.observe(Set(layers.keys)) { value, numbers in
        if let layer = layers[value] { quantized.observe(layer, numbers) }
      }
      task.hooks.remembered += quantized.remembered
      let frozen = max(pass.training.steps / 5, 1)
      task.hooks.begin = { step, _ in quantized.isFrozen = step >= frozen }
    }
    let name = QuantizationAwareTraining.name
    return try Trainer.run(
      task,
      pass.training,
      named: name,
      shownAs: block.map { "\(name), block \($0)" },
      pass.json,
      in: context,
      keptIn: block.map { archive?.part("block-\($0)") } ?? archive,
      on: workers
    )
  }

  private func report(_ use: TrainingUse) {
    context.report(use, of: QuantizationAwareTraining.name, on: workers)
  }
}

extension Graph {
  /// The name of what a block gives to the next.
  fileprivate func output(ofBlock block: Int) -> String? {
    let name = Graph.stateName(behindLayer: block)
    return named[name] == nil ? nil : name
  }
}
