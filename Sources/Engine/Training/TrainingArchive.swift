public import KaratTensors

/// Where the states of a training are kept, so that it can go on after an interruption.
public protocol TrainingArchive: Sendable {
  /// An archive of its own for a part of the training, such as a block.
  func part(_ name: String) -> any TrainingArchive

  /// The newest whole state, or nil where there is none.
  ///
  /// - Throws: where one is there and cannot be read.
  func newest() throws -> (any TensorSource)?

  /// Keeps a state, whole or not at all, and lets go of old ones.
  ///
  /// - Throws: where it cannot be written; earlier states are as they were.
  func save(_ state: any TensorSource, step: Int, keeping count: Int) throws

  /// Appends the metrics of a step.
  ///
  /// - Throws: where they cannot be written.
  func append(_ metrics: TrainingMetrics) throws

  /// Forgets the metrics of steps that are not taken yet, those from `step` on.
  ///
  /// - Throws: where they cannot be written.
  func rewind(to step: Int) throws
}
