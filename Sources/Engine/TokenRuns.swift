package import KaratGraphs
public import KaratTensors

/// Why a model cannot run over some tokens.
public struct EngineError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What is, what was needed, and what to do.
  public let description: String

  package init(_ description: String) {
    self.description = description
  }
}

extension Executor {
  /// Runs sequences of one length and shows named values.
  ///
  /// - Parameters:
  ///   - tokens: the sequences, at least one token each, all of one length unless the model has a
  ///     mask for padding.
  ///   - start: the position of their first token: how many tokens the cache holds already.
  ///   - cache: keys and values of the tokens before, which grows by these; nil for none.
  ///   - names: which named values to show, such as `logits` [batch, length, vocabulary].
  ///   - show: is called with each; the memory is valid during the call.
  /// - Throws: `EngineError` where a token is not in the vocabulary, `CheckpointError` where a
  ///   parameter cannot be pulled, or what `show` throws.
  package func run(
    tokens: [[Int32]],
    start: Int = 0,
    cache: KeyValueCache? = nil,
    names: [String],
    _ show: (String, Operand) throws -> Void
  ) throws {
    try run(TokenBatch(tokens), start: start, cache: cache, names: names, show)
  }

  /// Runs a batch and shows named values; see `run(tokens:)`.
  package func run(
    _ batch: TokenBatch,
    start: Int = 0,
    cache: KeyValueCache? = nil,
    names: [String],
    _ show: (String, Operand) throws -> Void
  ) throws {
    let wanted = try names.map { try value(named: $0) }
    let given = try given(batch, start: start)
    let binding = Binding(batch: batch.ids.count, length: batch.length, start: start)
    try run(given: given, binding: binding, cache: cache, wanted: wanted) { value, operand in
      for (name, candidate) in zip(names, wanted) where candidate == value {
        try show(name, operand)
      }
    }
  }

  /// The logits after every token of a sequence: F32[1, tokens, vocabulary].
  ///
  /// - Throws: `EngineError` where there is no token or one is not in the vocabulary,
  ///   `CheckpointError` where a parameter cannot be pulled.
  public func logits(_ tokens: [Int32]) throws -> Tensor {
    var logits: Tensor?
    try run(tokens: [tokens], names: ["logits"]) { _, operand in logits = operand.copied() }
    guard let logits else { throw EngineError("the model gives no logits.") }
    return logits
  }

  /// What a model is run for, after every token of a sequence: `logits`; of an encoder
  /// `last_hidden_state`, `sentence_embedding` and, where it has one, `pooler_output`.
  ///
  /// - Throws: as `logits(_:)` does.
  public func outputs(of tokens: [Int32]) throws -> [TensorName: Tensor] {
    let names =
      model.graph.isEncoder
      ? ["last_hidden_state", "pooler_output", "sentence_embedding"]
        .filter { model.graph.named[$0] != nil }
      : ["logits"]
    var outputs: [TensorName: Tensor] = [:]
    try run(tokens: [tokens], names: names) { outputs[TensorName($0)] = $1.copied() }
    return outputs
  }

  /// Runs a sequence for its logits and lets go of them; for timing.
  ///
  /// - Throws: as `logits(_:)` does.
  public func prefill(_ tokens: [Int32]) throws {
    try run(tokens: [tokens], names: ["logits"]) { _, _ in }
  }

  /// The place of a named value.
  package func value(named name: String) throws(EngineError) -> ValueID {
    guard let value = model.graph.named[name] else {
      let known = model.graph.named.keys.sorted().joined(separator: ", ")
      throw EngineError("the model gives no value named '\(name)'; it names \(known).")
    }
    return value
  }

  /// Token sequences of one length as the graph's input.
  package func ids(_ tokens: [[Int32]]) throws(EngineError) -> Tensor {
    precondition(tokens.allSatisfy { $0.count == tokens[0].count && !$0.isEmpty })
    for token in tokens.joined() where token < 0 || Int(token) >= vocabularySize {
      throw EngineError(
        "token \(token) is not in the model's vocabulary of \(vocabularySize). Does the tokenizer "
          + "belong to another model?"
      )
    }
    return Tensor(.i32, [tokens.count, tokens[0].count], copying: Array(tokens.joined()))
  }

  /// How many tokens the model's embedding has rows for.
  public var vocabularySize: Int {
    for node in model.graph.nodes {
      guard case .embedding = node.op,
        case .fixed(let rows) = model.graph.type(of: node.inputs[1]).extents[0]
      else { continue }
      return rows
    }
    return 0
  }
}
