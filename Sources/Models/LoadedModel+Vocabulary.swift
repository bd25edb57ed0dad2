import KaratGraphs
import KaratTokenizers

/// What a teacher and a student that share a tokenizer give probabilities for.
public struct SharedVocabulary: Sendable, Hashable {
  /// How many tokens there are: ids below this one; all beyond are padding.
  public let tokens: Int
  /// The rows of the teacher's embedding, and the student's.
  public let teacherRows, studentRows: Int

  /// Whether only one of the embeddings is padded, or both are to different sizes.
  public var isPaddedDifferently: Bool { teacherRows != studentRows }
}

extension LoadedModel {
  /// Compares the vocabulary of this model, a student, with its teacher's, by content.
  ///
  /// Embeddings are often padded beyond the vocabulary, and siblings not to the same size: that is no
  /// mismatch, and told apart from one.
  ///
  /// - Parameter teacher: the model to learn from.
  /// - Returns: how many tokens they share, and how many rows their embeddings have.
  /// - Throws: `VocabularyError` naming the first id that differs, or the embedding that has fewer rows
  ///   than there are tokens; what opening a tokenizer throws.
  public func sharedVocabulary(with teacher: LoadedModel) throws -> SharedVocabulary {
    let own = try tokenizer()
    try own.checkVocabulary(
      against: try teacher.tokenizer(),
      student: path,
      teacher: teacher.path
    )
    let tokens = own.vocabularySize
    let rows = (teacher: teacher.embeddingRows, student: embeddingRows)
    for (name, count) in [(teacher.path, rows.teacher), (path, rows.student)] where count < tokens {
      throw VocabularyError(
        "\(name): the embedding has \(count) rows, and the tokenizer ids up to \(tokens - 1). Put "
          + "the tokenizer beside it that belongs to the model."
      )
    }
    return SharedVocabulary(tokens: tokens, teacherRows: rows.teacher, studentRows: rows.student)
  }

  /// How many tokens the embedding has rows for.
  private var embeddingRows: Int {
    for node in model.graph.nodes {
      guard case .embedding = node.op,
        case .fixed(let rows) = model.graph.type(of: node.inputs[1]).extents[0]
      else { continue }
      return rows
    }
    return 0
  }
}
