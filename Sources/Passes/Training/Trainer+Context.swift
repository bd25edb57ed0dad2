import KaratBytes
import KaratDatasets
import KaratEngine
import KaratGraphs
import KaratKernels

extension Trainer {
  /// Trains as a pass does: shows how far it is, and keeps states in an archive.
  static func run(
    _ task: any TrainingTask,
    _ options: TrainingOptions,
    named name: String,
    shownAs label: String? = nil,
    _ recipe: JSONValue,
    in context: PassContext,
    keptIn archive: (any TrainingArchive)?,
    on workers: Workers
  ) throws -> TrainingUse {
    let trainer = try Trainer(
      task,
      options,
      seed: context.seed,
      identity: [
        "pass": name,
        "recipe": String(decoding: recipe.serialized(indent: nil), as: UTF8.self),
        "data": context.dataIdentity,
      ].merging(context.origin) { $1 },
      archive: archive,
      memory: context.memory,
      on: workers
    )
    try trainer.run { context.onTraining(label ?? name, $0, options.steps) }
    return trainer.use
  }
}

extension PassContext {
  /// Says what a training took, where it took anything.
  func report(_ use: TrainingUse, of pass: String, on workers: Workers) {
    guard use.steps > 0 else { return }
    var use = use
    use.measureCeilings(on: workers)
    onTrained(pass, use)
  }

  /// All windows of the text that a decoder learns from.
  ///
  /// - Throws: `DatasetError` where the text is shorter than a window.
  func trainingWindows(length: Int) throws(DatasetError) -> [[Int32]] {
    try TokenWindows(
      calibrating: calibrationTokens,
      count: .max,
      length: min(length, maximumLength ?? length),
      name: calibrationName
    ).windows
  }

  /// All windows of the text, and sequences that a teacher writes from beginnings in it (Kim and Rush,
  /// 2016; Liu et al., 2024: LLM-QAT).
  ///
  /// - Parameters:
  ///   - length: tokens of a window and a sequence at most.
  ///   - count: how many sequences it writes; an eighth of each is the text's own.
  ///   - teacher: who writes; not asked for where `count` is 0.
  /// - Returns: the text's windows first.
  /// - Throws: `DatasetError` where the text is shorter than a window, and what running the teacher
  ///   throws.
  func trainingWindows(
    length: Int,
    written count: Int,
    by teacher: @autoclosure () throws -> Model
  ) throws -> [[Int32]] {
    let text = try trainingWindows(length: length)
    guard count > 0, let length = text.first?.count else { return text }
    let written = try Executor(try teacher(), threads: threads, memory: memory).writtenText(
      from: calibrationTokens,
      count: count,
      promptLength: max(length / 8, 1),
      length: length,
      sampling: Sampling(temperature: 1, seed: seed),
      progress: progress
    )
    return text + written.sequences.map(\.tokens)
  }

  /// What tells the text from others.
  fileprivate var dataIdentity: String {
    var digest = SHA256Digest.Accumulator()
    for tokens in [calibrationTokens] + calibrationSequences {
      tokens.withUnsafeBytes { digest.append($0) }
    }
    return digest.digest.description
  }
}
