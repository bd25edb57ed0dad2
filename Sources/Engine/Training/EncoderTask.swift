package import KaratGraphs
package import KaratKernels
import KaratTensors

/// Training of an encoder on texts: its vectors, and values on the way to them, are judged.
package final class EncoderTask: TrainingTask {
  package let parameters: ParameterSet
  package var hooks = TrainingHooks()
  package let losses: [any Loss]
  package var lengths: [Int] { texts.map(\.count) }
  package let differentiator: Differentiator

  private let graph: Graph
  private let texts: [[Int32]]
  private let prepare: (TokenBatch) throws -> Void

  /// Prepares to train on texts.
  ///
  /// - Parameters:
  ///   - graph: the encoder.
  ///   - parameters: its parameters.
  ///   - texts: what it learns from, each with its special tokens.
  ///   - losses: what is judged; each text counts as one.
  ///   - workers: the threads.
  ///   - prepare: is called with a batch before it is judged.
  /// - Throws: `EngineError` where a token is not in its vocabulary, or a text is too long.
  package init(
    _ graph: Graph,
    _ parameters: ParameterSet,
    texts: [[Int32]],
    losses: [any Loss],
    on workers: Workers,
    prepare: @escaping (TokenBatch) throws -> Void
  ) throws(EngineError) {
    try graph.checkTokens(texts)
    self.graph = graph
    self.parameters = parameters
    self.texts = texts
    self.losses = losses
    self.prepare = prepare
    differentiator = Differentiator(
      graph,
      parameters,
      given: Set(Self.inputs.compactMap { graph.named[$0] }),
      losses: losses,
      on: workers
    )
  }

  private static let inputs = ["input_ids", "attention_mask", "token_type_ids"]

  package func weight(of example: Int) -> Double { 1 }

  package func accumulate(_ examples: [Int], factor: Float) throws -> [Double] {
    let batch = TokenBatch(examples.map { texts[$0] })
    try prepare(batch)
    // Vectors, projected or not, have a row for each text; states have one for each token.
    for case let loss as StateLoss in losses
    where graph.type(of: loss.values[0]).extents.contains(.length) {
      loss.rows = .tokens(lengths: examples.map { texts[$0].count })
    }
    for case let loss as AttentionRelationLoss in losses { loss.mask = Array(batch.mask.joined()) }
    let shape: Shape = [batch.ids.count, batch.length]
    var given: [ValueID: Tensor] = [:]
    for (name, rows) in zip(Self.inputs, [batch.ids, batch.mask, batch.types]) {
      guard let value = graph.named[name] else { continue }
      given[value] = Tensor(.i32, shape, copying: Array(rows.joined()))
    }
    return try differentiator.run(
      given: given,
      binding: Binding(batch: batch.ids.count, length: batch.length),
      factor: factor
    )
  }
}
