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
    _ recipe: JSONValue,
    in context: PassContext,
    keptIn archive: (any TrainingArchive)?,
    on workers: Workers
  ) throws {
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
      on: workers
    )
    try trainer.run { context.onTraining(name, $0, options.steps) }
  }
}

extension PassContext {
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
