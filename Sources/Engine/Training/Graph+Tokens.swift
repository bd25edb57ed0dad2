import KaratGraphs

extension Graph {
  /// Checks that every table has the rows that tokens and their places name.
  ///
  /// - Throws: `EngineError` naming the first that a table lacks.
  package func checkTokens(_ sequences: [[Int32]]) throws(EngineError) {
    let longest = sequences.reduce(0) { max($0, $1.count) }
    for node in nodes {
      guard case .embedding = node.op, case .fixed(let rows) = type(of: node.inputs[1]).extents[0]
      else { continue }
      if case .positions = self.node(of: node.inputs[0]).op, longest > rows {
        throw EngineError(
          "a text has \(longest) tokens; the model has positions for \(rows). Give shorter texts."
        )
      }
      guard node.inputs[0] == named["input_ids"] else { continue }
      for token in sequences.joined() where token < 0 || Int(token) >= rows {
        throw EngineError(
          "token \(token) is not in the model's vocabulary of \(rows). Do the data belong to another "
            + "model?"
        )
      }
    }
  }
}
