import Foundation
import KaratBytes
import KaratGraphs
package import KaratKernels
import KaratTensors

/// Trains: examples in a seeded order, gradients added up and clipped, one step of the optimizer
/// after the other, states kept on the way.
///
/// The same options, seed and data give the same bytes, for any number of threads, and whether
/// training was interrupted or not.
package final class Trainer {
  private let task: any TrainingTask
  private let options: TrainingOptions
  private let optimizer: Optimizer
  private let schedule: RateSchedule
  private let order: ExampleOrder
  private let archive: (any TrainingArchive)?
  /// What must be the same for training to go on from a state: recipe, data, seed.
  private let identity: [String: String]
  private var scale: LossScale
  private var taken = TrainingUse()

  /// Prepares to train.
  ///
  /// - Parameters:
  ///   - task: what is trained.
  ///   - options: how.
  ///   - seed: decides the order of the examples.
  ///   - identity: what tells this training from others, such as its recipe and the hash of its data.
  ///   - archive: where states are kept, or nil for nowhere.
  ///   - memory: what training may take: blocks are computed again where it would take more, unless the
  ///     options decide that.
  ///   - workers: the threads.
  /// - Throws: `EngineError` where there are no examples, or an option cannot be followed.
  package init(
    _ task: any TrainingTask,
    _ options: TrainingOptions,
    seed: UInt64,
    identity: [String: String] = [:],
    archive: (any TrainingArchive)? = nil,
    memory: MemoryBudget? = nil,
    on workers: Workers
  ) throws(EngineError) {
    if let fault = options.fault { throw EngineError(fault) }
    guard !task.lengths.isEmpty else {
      throw EngineError("there is nothing to learn from: the data hold no example.")
    }
    self.task = task
    self.options = options
    self.archive = archive
    self.identity = identity.merging(["seed": "\(seed)"]) { $1 }
    optimizer = Optimizer(
      // What no loss depends on stays as it is, also where weights decay.
      task.parameters.trained.filter { task.differentiator.reaches($0.name) }
        + task.hooks.companions,
      options,
      task.hooks.groups,
      remembering: task.hooks.remembered,
      on: workers
    )
    schedule = RateSchedule(options)
    order = ExampleOrder(lengths: task.lengths, batch: options.batch, seed: seed)
    scale = LossScale(isDynamic: options.arithmetic == .f16)
    task.differentiator.rounding = options.rounding
    task.differentiator.isCheckpointing =
      options.recompute ?? memory.map { $0.bytes < Self.bytes(of: task, options) } ?? false
  }

  /// What training takes where no block is computed again.
  static func bytes(of task: any TrainingTask, _ options: TrainingOptions) -> Int {
    let moments = options.optimizer == .adamW ? 2 : 1
    let parameters = task.parameters.items.reduce(0) { sum, item in
      sum + item.count * 4 * (item.gradient == nil ? 1 : 2 + moments)
    }
    let length = task.lengths.max() ?? 1
    let together = options.microBatch ?? max(tokensAtATime / max(length, 1), 1)
    let batch = min(together, options.batch, task.lengths.count)
    return parameters + task.differentiator.keptBytes(Binding(batch: batch, length: length))
  }

  /// Takes all steps, from the newest state in the archive on.
  ///
  /// - Parameter show: is called after each step.
  /// - Throws: `EngineError` where the loss is no number, or the archive holds another training's
  ///   state; what the task and the archive throw. States that were kept stay.
  package func run(_ show: (TrainingMetrics) throws -> Void = { _ in }) throws {
    var step = try resume()
    try archive?.rewind(to: step)
    while step < options.steps {
      let metrics = try take(step)
      step += 1
      try archive?.append(metrics)
      try show(metrics)
      if options.saveEvery > 0, step % options.saveEvery == 0 || step == options.steps {
        try archive?.save(state(step), step: step, keeping: options.keep)
      }
    }
  }

  /// Takes one step.
  func take(_ step: Int) throws -> TrainingMetrics {
    let start = ContinuousClock.now
    let examples = order.examples(step)
    try task.hooks.begin(step, examples)
    let total = examples.reduce(0) { $0 + task.weight(of: $1) }
    var sums = task.losses.map { _ in 0.0 }
    for part in parts(of: examples) {
      let found = try task.accumulate(part, factor: Float(scale.factor / max(total, 1)))
      for (index, sum) in found.enumerated() { sums[index] += sum }
    }
    task.hooks.finishGradients()
    let means = sums.map { $0 / max(total, 1) }
    let loss = zip(task.losses, means).reduce(0) { $0 + $1.0.weight * $1.1 }
    let norm = optimizer.gradientNorm() / scale.factor
    let used = scale.factor
    let isSkipped = !norm.isFinite && scale.shrink()
    guard loss.isFinite, norm.isFinite || isSkipped else {
      throw EngineError(
        "step \(step + 1): the loss is \(loss) and the gradient's length \(norm); both must be "
          + "numbers. The rate, \(schedule.rate(step)), may be too high, or a weight is broken. States "
          + "that were saved before are whole."
      )
    }
    let rate = schedule.rate(step)
    if isSkipped {
      optimizer.discardGradients()
    } else {
      let clipping = options.clip > 0 && norm > options.clip ? options.clip / norm : 1
      optimizer.step(rate: rate, gradientScale: clipping / used)
      task.hooks.finish()
      scale.grow()
    }
    let metrics = TrainingMetrics(
      step: step + 1,
      losses: zip(task.losses, means).map { ($0.name, $1) },
      loss: loss,
      rate: rate,
      gradientNorm: norm,
      tokens: examples.reduce(0) { $0 + task.lengths[$1] },
      seconds: start.secondsSince,
      lossScale: used,
      isSkipped: isSkipped
    )
    taken.steps += 1
    taken.seconds += metrics.seconds
    taken.tokens += metrics.tokens
    return metrics
  }

  /// What this run took so far.
  package var use: TrainingUse {
    var use = taken
    use.operations = task.differentiator.operations
    (use.optimizerBytes, use.optimizerSeconds) = (optimizer.movedBytes, optimizer.seconds)
    use.peakBytes = ProcessMemory.peakBytes
    return use
  }

  /// Examples that run together: the longest come first, so that those of a part are alike.
  private func parts(of examples: [Int]) -> [[Int]] {
    let lengths = task.lengths
    var parts: [[Int]] = []
    var longest = 0
    for example in examples {
      let count = parts.last?.count ?? 0
      let isFull =
        options.microBatch.map { count >= $0 } ?? ((count + 1) * longest > Self.tokensAtATime)
      if parts.isEmpty || isFull {
        parts.append([example])
        longest = lengths[example]
      } else {
        parts[parts.count - 1].append(example)
      }
    }
    return parts
  }

  /// Tokens that run together: enough rows for fast products, few enough for little memory.
  private static let tokensAtATime = 2048

  // MARK: States

  private func state(_ step: Int) -> MemorySource {
    var metadata = identity
    metadata["step"] = "\(step)"
    metadata["optimizer_steps"] = "\(optimizer.steps)"
    metadata["loss_scale"] = "\(scale.factor)"
    metadata["steps_since_overflow"] = "\(scale.stepsSinceOverflow)"
    return MemorySource(optimizer.tensors, metadata: metadata)
  }

  /// Goes back to the newest state.
  ///
  /// - Returns: how many steps were taken before it.
  private func resume() throws -> Int {
    guard let state = try archive?.newest() else { return 0 }
    let metadata = state.manifest.metadata
    for (key, value) in identity.sorted(by: { $0.key < $1.key }) where metadata[key] != value {
      throw EngineError(
        "the saved state belongs to another training: its \(key) is "
          + "'\(metadata[key] ?? "not there")', this one's '\(value)'. Go on as it was begun, or remove"
          + " the folder of states to begin anew."
      )
    }
    guard let step = metadata["step"].flatMap(Int.init), step >= 0,
      let taken = metadata["optimizer_steps"].flatMap(Int.init), taken >= 0,
      let factor = metadata["loss_scale"].flatMap(Double.init), factor > 0,
      let quiet = metadata["steps_since_overflow"].flatMap(Int.init)
    else {
      throw EngineError(
        "the saved state does not say which step it is of. Remove the folder of states to begin anew."
      )
    }
    try optimizer.restore(state, steps: taken)
    scale.restore(factor: factor, stepsSinceOverflow: quiet)
    return step
  }
}

/// What the loss is multiplied by, so that small gradients keep their bits in F16: halved when one
/// overflows, doubled after 2,000 steps without (Micikevicius et al., 2018).
struct LossScale {
  private let isDynamic: Bool
  private(set) var factor: Double
  private(set) var stepsSinceOverflow = 0

  init(isDynamic: Bool) {
    self.isDynamic = isDynamic
    factor = isDynamic ? 65_536 : 1
  }

  /// Halves the scale after an overflow.
  ///
  /// - Returns: false where it is not to blame, or cannot be smaller.
  mutating func shrink() -> Bool {
    guard isDynamic, factor > 1 else { return false }
    factor /= 2
    stepsSinceOverflow = 0
    return true
  }

  mutating func grow() {
    guard isDynamic else { return }
    stepsSinceOverflow += 1
    if stepsSinceOverflow % 2_000 == 0 { factor *= 2 }
  }

  mutating func restore(factor: Double, stepsSinceOverflow: Int) {
    self.factor = factor
    self.stepsSinceOverflow = stepsSinceOverflow
  }
}
