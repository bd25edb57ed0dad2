import KaratGraphs
import KaratTensors

extension Executor {
  /// The vector of each sequence, as `sentence_embedding` is defined for the model.
  ///
  /// Sequences of about one length run together, so that little padding is computed.
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
    var start = 0
    while start < order.count {
      progress(start)
      var end = start + 1
      while end < order.count, end - start < 64,
        (end - start + 1) * sequences[order[end]].count <= 4096
      { end += 1 }
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
}
