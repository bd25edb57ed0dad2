package import KaratGraphs
import KaratTensors

/// Runs a model over many windows block by block, holding the parameters of one block at a time.
///
/// Between blocks only the values that cross are kept: for a decoder the hidden state,
/// `tokens · hidden · 4` bytes.
package struct StagedRun {
  private let executor: Executor
  private let windows: [[Int32]]
  private var values: [[ValueID: Tensor]]

  /// Prepares to run windows through a model.
  ///
  /// - Throws: `EngineError` where a token is not in the vocabulary.
  package init(_ executor: Executor, windows: [[Int32]]) throws(EngineError) {
    let input = try executor.value(named: "input_ids")
    self.executor = executor
    self.windows = windows
    values = []
    for window in windows { values.append([input: try executor.ids([window])]) }
  }

  /// Runs one stage over every window, in order, and keeps what later stages need.
  ///
  /// - Parameters:
  ///   - stage: the next of the graph's stages.
  ///   - wanted: values of the stage to show.
  ///   - show: is called with the window's index, and each of these that has elements: what an expert
  ///     reads has none where no token reaches it.
  /// - Throws: what `Executor.run` throws.
  package mutating func run(
    _ stage: Stage,
    wanted: [ValueID] = [],
    _ show: (Int, ValueID, Operand) throws -> Void = { _, _, _ in }
  ) throws {
    for index in windows.indices {
      let given = values[index].filter { stage.inputs.contains($0.key) }
      let binding = Binding(batch: 1, length: windows[index].count)
      let crossing = Set(stage.outputs)
      var kept: [ValueID: Tensor] = [:]
      let all = crossing.union(wanted).sorted()
      try executor.run(given: given, binding: binding, wanted: all) { value, operand in
        if wanted.contains(value), operand.count > 0 { try show(index, value, operand) }
        if crossing.contains(value) { kept[value] = operand.copied() }
      }
      values[index].merge(kept) { $1 }
      for value in stage.released { values[index][value] = nil }
    }
    executor.dropConstants()
  }
}
