package import KaratGraphs
package import KaratTensors

/// What a teacher computes for the batch at hand: some values of its graph, kept until the next batch.
package final class TeacherStates {
  package let executor: Executor
  private let wanted: [ValueID]
  private var states: [ValueID: Tensor] = [:]

  /// Prepares to show some values of a model.
  package init(_ executor: Executor, _ wanted: [ValueID]) {
    self.executor = executor
    self.wanted = wanted
  }

  /// Runs the teacher over a batch.
  ///
  /// - Throws: `EngineError` where a token is not in its vocabulary, `CheckpointError` where a
  ///   parameter cannot be pulled.
  package func run(_ batch: TokenBatch) throws {
    try executor.run(
      given: try executor.given(batch),
      binding: Binding(batch: batch.ids.count, length: batch.length),
      wanted: wanted
    ) { value, operand in states[value] = operand.copied() }
  }

  /// A value for the batch that ran last.
  ///
  /// - Precondition: it is among those that are wanted, and a batch has run.
  package subscript(value: ValueID) -> Tensor {
    guard let state = states[value] else { preconditionFailure("the teacher runs first") }
    return state
  }
}
