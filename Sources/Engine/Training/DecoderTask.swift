package import KaratGraphs
package import KaratKernels
import KaratTensors

/// Training of a decoder on windows of tokens: each token but the first of a window is predicted.
package final class DecoderTask: TrainingTask {
  package let parameters: ParameterSet
  package var hooks = TrainingHooks()
  package let losses: [any Loss]
  package var lengths: [Int] { windows.map(\.count) }
  package let differentiator: Differentiator

  /// What a teacher says about some windows of one padded length.
  package typealias Teacher = (_ examples: [Int], _ windows: [[Int32]]) throws
    -> HeadLoss.TeacherTarget

  private let graph: Graph
  private let windows: [[Int32]]
  /// What some examples are in the step at hand, in the place of their windows, and no text.
  package var written: [Int: [Int32]] = [:]
  private let head: HeadLoss?
  private let teacher: Teacher?
  /// Prepares losses beside the head's for a batch.
  private let prepare: ([[Int32]]) throws -> Void

  /// Prepares to train on windows.
  ///
  /// - Parameters:
  ///   - graph: the decoder.
  ///   - parameters: its parameters.
  ///   - windows: what it learns from, at least two tokens each.
  ///   - head: judges the predictions, or nil where other losses alone do.
  ///   - teacher: gives the head its teacher's distributions.
  ///   - others: losses beside the head's.
  ///   - prepare: is called with the padded windows of a batch before others judge it.
  ///   - workers: the threads.
  /// - Throws: `EngineError` where the graph reads no tokens, or a token is not in its vocabulary.
  package init(
    _ graph: Graph,
    _ parameters: ParameterSet,
    windows: [[Int32]],
    head: HeadLoss?,
    teacher: Teacher? = nil,
    others: [any Loss] = [],
    prepare: @escaping ([[Int32]]) throws -> Void = { _ in },
    on workers: Workers
  ) throws(EngineError) {
    guard let ids = graph.named["input_ids"] else {
      throw EngineError("the model reads no tokens.")
    }
    try graph.checkTokens(windows)
    precondition(windows.allSatisfy { $0.count >= 2 }, "a window predicts at least one token")
    self.graph = graph
    self.parameters = parameters
    self.windows = windows
    self.head = head
    self.teacher = teacher
    self.prepare = prepare
    losses = (head.map { [$0] } ?? []) + others
    differentiator = Differentiator(
      graph,
      parameters,
      given: [ids],
      losses: losses,
      on: workers
    )
  }

  package func weight(of example: Int) -> Double { Double(windows[example].count - 1) }

  package func accumulate(_ examples: [Int], factor: Float) throws -> [Double] {
    let rows = examples.map { written[$0] ?? windows[$0] }
    let length = rows.map(\.count).max() ?? 0
    // Tokens behind a window's end change nothing before them in a causal model.
    let padded = rows.map { $0 + Array(repeating: 0, count: length - $0.count) }
    let judged = try teacher?(examples, padded)
    head?.target = HeadLoss.Target(
      labels: rows.flatMap { row in
        Array(row.dropFirst()) + Array(repeating: -1, count: length - row.count + 1)
      },
      teacher: judged
    )
    for case let loss as StateLoss in losses { loss.rows = .tokens(lengths: rows.map(\.count)) }
    try prepare(padded)
    guard let ids = graph.named["input_ids"] else { return [] }
    return try differentiator.run(
      given: [ids: Tensor(.i32, [padded.count, length], copying: Array(padded.joined()))],
      binding: Binding(batch: padded.count, length: length),
      factor: factor
    )
  }
}
