public import KaratBytes
public import KaratGraphs
import KaratKernels
import KaratTensors

extension Executor {
  /// Measures how much a model's neurons, heads, channels and experts give, by running it block by
  /// block over windows of tokens (Muralidharan et al., 2024: Minitron, section 2.2; experts as Lasby
  /// et al., 2025: REAP).
  ///
  /// - Parameters:
  ///   - windows: sequences of tokens, some hundreds together.
  ///   - progress: hears how far the run is.
  /// - Returns: what was measured; what leaving out layers costs is not, see `layerCosts`.
  /// - Throws: `EngineError` where there are no windows, a token is not in the vocabulary or memory
  ///   does not suffice, `CheckpointError` where a parameter cannot be pulled.
  public func importance(
    _ windows: [[Int32]],
    progress: ProgressReporter = .silent
  ) throws -> Importance {
    try requireWindows(windows)
    let probes = ImportanceProbes(model.graph)
    var sums = ImportanceSums(probes, on: workers)
    var run = try StagedRun(self, windows: windows)
    let stages = model.graph.stages
    for (index, stage) in stages.enumerated() {
      progress.report("importance", index, of: stages.count, "blocks")
      try run.run(stage, wanted: probes.wanted(in: stage)) { sums.add($1, $2) }
    }
    progress.report("importance", stages.count, of: stages.count, "blocks")
    return sums.importance
  }

  /// Measures what leaving each block out costs: the model runs on with what the block was given in
  /// place of what it gives.
  ///
  /// Of L blocks, that takes the time of (L + 1) / 2 runs.
  ///
  /// - Parameters:
  ///   - windows: sequences of tokens.
  ///   - progress: hears how far the runs are.
  /// - Returns: for each block, for a decoder the mean over all tokens of the divergence of the next
  ///   token's distribution from the whole model's, nats; for an encoder the mean over all sequences
  ///   of 1 - the cosine of the vectors.
  /// - Throws: as `importance` does, and `EngineError` where what the model gives are no numbers.
  public func layerCosts(
    _ windows: [[Int32]],
    progress: ProgressReporter = .silent
  ) throws -> [Double] {
    try requireWindows(windows)
    let result = try value(named: model.graph.isEncoder ? "sentence_embedding" : "logits")
    let blocks = model.graph.blockEnds
    var costs = Array(repeating: 0.0, count: blocks.count)
    var rows = 0
    for (index, window) in windows.enumerated() {
      let given = try given(TokenBatch([window]))
      let binding = Binding(batch: 1, length: window.count)
      var found: [ValueID: Tensor] = [:]
      let wanted = Set(blocks.map(\.input) + [result]).sorted()
      try run(given: given, binding: binding, wanted: wanted) { found[$0] = $1.copied() }
      guard let whole = found[result] else { continue }
      rows += model.graph.isEncoder ? 1 : window.count
      for (block, ends) in blocks.enumerated() {
        progress.report(
          "layers",
          index * blocks.count + block,
          of: windows.count * blocks.count,
          "runs"
        )
        var shortened = given
        shortened[ends.output] = found[ends.input]
        try run(given: shortened, binding: binding, wanted: [result]) { _, operand in
          let cost = difference(whole, operand)
          guard cost.isFinite else {
            throw EngineError(
              "window \(index): without block \(block) the model gives no finite numbers. A weight "
                + "is broken, or the model overflows: karat inspect --tensors."
            )
          }
          costs[block] += cost
        }
      }
    }
    return costs.map { $0 / Double(max(rows, 1)) }
  }

  private func requireWindows(_ windows: [[Int32]]) throws(EngineError) {
    guard windows.contains(where: { !$0.isEmpty }) else {
      throw EngineError("there are no windows to measure importance on; at least one is needed.")
    }
  }

  /// The sum of the divergences of all rows, or 1 - cosine of two vectors.
  private func difference(_ whole: Tensor, _ other: Operand) -> Double {
    let reference = Operand(whole)
    let (rows, features) = (other.rows, other.features)
    if model.graph.isEncoder {
      var (product, left, right) = (0.0, 0.0, 0.0)
      for index in 0..<features {
        let (x, y) = (Double(reference.floats[index]), Double(other.floats[index]))
        product += x * y
        left += x * x
        right += y * y
      }
      return 1 - product / (left * right).squareRoot()
    }
    let divergences = [Double](unsafeUninitializedCapacity: rows) { sums, count in
      guard let first = sums.baseAddress else { return }
      nonisolated(unsafe) let sums = first
      workers.forEachTile(rows) { row in
        let comparison = compareLogits(
          reference: reference.floats + row * features,
          candidate: other.floats + row * features,
          count: features
        )
        (sums + row).initialize(to: comparison.divergence)
      }
      count = rows
    }
    return withExtendedLifetime(whole) { divergences.reduce(0, +) }
  }
}

extension Graph {
  /// What each block that a decoder or encoder is made of is given, and what it gives.
  fileprivate var blockEnds: [(input: ValueID, output: ValueID)] {
    stages.compactMap { stage in
      guard let block = stage.block, let output = state(behindLayer: block),
        let input = stage.inputs.first(where: { type(of: $0) == type(of: output) })
      else { return nil }
      return (input, output)
    }
  }
}
