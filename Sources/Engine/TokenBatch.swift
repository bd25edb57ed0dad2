package import KaratGraphs
package import KaratTensors

/// Sequences of tokens that run together, padded to one length.
package struct TokenBatch: Sendable {
  /// The tokens; any token where there is padding.
  package let ids: [[Int32]]
  /// Which part of a text each token belongs to, such as the first or second of two sentences.
  package let types: [[Int32]]
  /// 1 for each token, 0 for padding.
  package let mask: [[Int32]]

  /// Pads sequences to the longest.
  package init(_ sequences: [[Int32]]) {
    let length = sequences.map(\.count).max() ?? 0
    func padded(_ row: [Int32]) -> [Int32] {
      row + Array(repeating: 0, count: length - row.count)
    }
    ids = sequences.map(padded)
    types = sequences.map { _ in padded([]) }
    mask = sequences.map { padded(Array(repeating: 1, count: $0.count)) }
  }

  /// States everything, row by row of one length.
  package init(ids: [[Int32]], types: [[Int32]], mask: [[Int32]]) {
    precondition(types.map(\.count) == ids.map(\.count) && mask.map(\.count) == ids.map(\.count))
    self.ids = ids
    self.types = types
    self.mask = mask
  }

  /// Tokens of each sequence, padding included.
  package var length: Int { ids.first?.count ?? 0 }

  var isPadded: Bool { mask.contains { $0.contains(0) } }
}

extension Executor {
  /// A batch as the inputs that the graph has.
  ///
  /// - Parameters:
  ///   - batch: the sequences.
  ///   - start: the position of their first tokens.
  /// - Returns: the values by their places.
  /// - Throws: `EngineError` where there is no token, one is not in the vocabulary, there are more than
  ///   the model has positions for, or it would take padding for tokens.
  package func given(_ batch: TokenBatch, start: Int = 0) throws(EngineError) -> [ValueID: Tensor] {
    guard batch.length > 0 else {
      throw EngineError("there are no tokens to run; at least one is needed.")
    }
    if batch.isPadded, model.graph.named["attention_mask"] == nil {
      throw EngineError(
        "sequences of several lengths cannot run together: the model has no mask for padding."
      )
    }
    var given = [try value(named: "input_ids"): try ids(batch.ids)]
    let shape: Shape = [batch.ids.count, batch.length]
    for (name, rows) in [("attention_mask", batch.mask), ("token_type_ids", batch.types)] {
      guard let value = model.graph.named[name] else { continue }
      given[value] = Tensor(.i32, shape, copying: Array(rows.joined()))
    }
    try checkRows(given, positions: start + batch.length)
    return given
  }

  /// Checks that every table has the rows that the inputs name.
  private func checkRows(
    _ given: [ValueID: Tensor],
    positions: Int
  ) throws(EngineError) {
    for node in model.graph.nodes {
      guard case .embedding = node.op,
        case .fixed(let rows) = model.graph.type(of: node.inputs[1]).extents[0]
      else { continue }
      if case .positions = model.graph.node(of: node.inputs[0]).op, positions > rows {
        throw EngineError(
          "the text has \(positions) tokens; the model has positions for \(rows). Give shorter texts."
        )
      }
      guard let ids = given[node.inputs[0]],
        let id = ids.elements(as: Int32.self).first(where: { $0 < 0 || Int($0) >= rows })
      else { continue }
      throw EngineError("\(node.path.quoted) has \(rows) rows, and \(id) is asked for.")
    }
  }
}
