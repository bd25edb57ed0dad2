public import KaratBytes
import KaratGraphs
import KaratKernels
public import KaratTensors

extension Executor {
  /// Runs windows of tokens and shows the most likely next tokens after each token.
  ///
  /// Without a budget of memory, window by window; with one, block by block over all windows, and the
  /// logits for as many tokens at a time as there is room for.
  ///
  /// - Parameters:
  ///   - windows: sequences of tokens.
  ///   - k: how many tokens to tell for each place.
  ///   - progress: hears how far the run is.
  ///   - show: is called with each window's number and its table, in order.
  /// - Throws: `EngineError` where `k` is none of the vocabulary, a token is not in it, or logits are
  ///   not numbers; `CheckpointError` where a parameter cannot be pulled; what `show` throws.
  public func topTokens(
    _ windows: [[Int32]],
    k: Int,
    progress: ProgressReporter = .silent,
    _ show: (Int, TopTokens) throws -> Void
  ) throws {
    let logits = try value(named: "logits")
    let columns = model.graph.type(of: logits).features ?? 0
    guard (1...max(columns, 1)).contains(k) else {
      throw EngineError(
        "the \(k) most likely tokens were asked for; the model gives \(columns) logits. Ask for 1 to "
          + "\(columns)."
      )
    }
    guard memory != nil else {
      for (index, window) in windows.enumerated() {
        progress.report("teacher", index, of: windows.count, "windows")
        var table: TopTokens?
        try run(tokens: [window], names: ["logits"]) { _, operand in
          table = try top(operand, k, window: index)
        }
        if let table { try show(index, table) }
      }
      progress.report("teacher", windows.count, of: windows.count, "windows")
      return
    }
    var run = try StagedRun(self, windows: windows)
    let stages = run.stageCount(before: logits)
    try run.advance(to: logits) { progress.report("teacher", $0, of: stages + 1, "blocks") }
    let together = run.tokensAtATime(of: logits)
    for (index, window) in windows.enumerated() {
      var table = TopTokens(k: k, indices: [], logProbabilities: [], rest: [])
      let step = max(min(together ?? window.count, window.count), 1)
      for first in stride(from: 0, to: window.count, by: step) {
        let tokens = first..<min(first + step, window.count)
        try run.show(logits, window: index, tokens: tokens) { operand in
          let part = try top(operand, k, window: index)
          table.indices += part.indices
          table.logProbabilities += part.logProbabilities
          table.rest += part.rest
        }
      }
      try show(index, table)
    }
    progress.report("teacher", stages + 1, of: stages + 1, "blocks")
  }

  private func top(_ logits: Operand, _ k: Int, window: Int) throws(EngineError) -> TopTokens {
    guard minMax(logits.floats, count: logits.count).finite else {
      throw EngineError(
        "window \(window): the logits are not finite numbers. A weight is broken, or the model "
          + "overflows: karat inspect --tensors."
      )
    }
    return KaratKernels.topTokens(
      logits.floats,
      rows: logits.rows,
      columns: logits.features,
      k: k,
      on: workers
    )
  }
}
