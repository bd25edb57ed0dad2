import KaratGraphs
import KaratTensors

extension Executor {
  /// The vector of each sequence, as `sentence_embedding` is defined for the model.
  ///
  /// Sequences of one length run together, as many as the budget has room for, so that no padding is
  /// computed and no vector depends on which others ran with it, to the bit.
  ///
  /// - Parameters:
  ///   - sequences: at least one token each, special tokens included.
  ///   - progress: is called with how many sequences are done.
  /// - Returns: the vectors, in the order of the sequences.
  /// - Throws: `EngineError` where the model is no encoder or a sequence does not fit it,
  ///   `CheckpointError` where a parameter cannot be pulled.
  public func embeddings(
    _ sequences: [[Int32]],
    progress: (Int) -> Void = { _ in }
  ) throws -> [[Float]] {
    var vectors = Array(repeating: [Float](), count: sequences.count)
    let order = sequences.indices.sorted {
      (sequences[$0].count, $0) < (sequences[$1].count, $1)
    }
    let outputs = [try value(named: "sentence_embedding")]
    let inputs = ["input_ids", "attention_mask", "token_type_ids"]
      .compactMap { model.graph.named[$0] }
    var start = 0
    while start < order.count {
      progress(start)
      let length = sequences[order[start]].count
      let alike = order[start...].prefix { sequences[$0].count == length }.count
      let end = start + min(alike, batchSize(of: length, from: inputs, to: outputs))
      let places = order[start..<end]
      try run(
        TokenBatch(places.map { sequences[$0] }),
        names: ["sentence_embedding"]
      ) { _, operand in
        let numbers = operand.copied().elements(as: Float.self)
        for (row, place) in places.enumerated() {
          vectors[place] = Array(numbers[row * operand.features..<(row + 1) * operand.features])
        }
      }
      start = end
    }
    return vectors
  }
  /// How many sequences of a length run together at most.
  private func batchSize(of length: Int, from inputs: [ValueID], to outputs: [ValueID]) -> Int {
    // Beyond some thousand tokens, parameters are read often enough.
    let most = max(min(64, 4096 / max(length, 1)), 1)
    guard let memory else { return most }
    let one = plan(given: inputs, wanted: outputs)
      .peakBytes(model.graph, Binding(batch: 1, length: length))
    return max(min(most, memory.values / max(one, 1)), 1)
  }
}
