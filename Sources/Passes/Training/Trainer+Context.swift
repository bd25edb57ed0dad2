import KaratBytes
import KaratDatasets
import KaratEngine
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
      ],
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

  /// What tells the text from others.
  fileprivate var dataIdentity: String {
    var digest = SHA256Digest.Accumulator()
    for tokens in [calibrationTokens] + calibrationSequences {
      tokens.withUnsafeBytes { digest.append($0) }
    }
    return digest.digest.description
  }
}
