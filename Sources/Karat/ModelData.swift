public import KaratDatasets
public import KaratModels
import KaratTokenizers
public import KaratVerification

extension LoadedModel {
  /// The tokens of a file as one stream, without special tokens: what a decoder is run over.
  ///
  /// - Throws: what opening the tokenizer throws, which a file of token ids does not need.
  public func tokens(of data: DataFile) throws -> [Int32] {
    switch data.content {
    case .text(let text): try tokenizer().encode(text, addSpecialTokens: false)
    case .ids(let lines): Array(lines.joined())
    }
  }

  /// The lines of a file as an encoder reads them; lines of token ids hold the special ones already.
  ///
  /// - Throws: as `sequences(ofLines:name:)` does.
  public func sequences(of data: DataFile) throws -> [[Int32]] {
    switch data.content {
    case .text(let text): return try sequences(ofLines: text, name: data.path)
    case .ids(let lines):
      guard !lines.isEmpty else {
        throw DatasetError("\(data.path): there is no line of token ids; at least one is needed.")
      }
      return lines
    }
  }

  /// The lines of a text as an encoder reads them: each with its special tokens, as long as the model
  /// was made for at most; lines without any text are left out.
  ///
  /// - Throws: `DatasetError` where there is no line, and what opening the tokenizer throws.
  public func sequences(ofLines text: String, name: String) throws -> [[Int32]] {
    let lines = text.split(whereSeparator: \.isNewline)
      .filter { !$0.allSatisfy(\.isWhitespace) }
    guard !lines.isEmpty else {
      throw DatasetError("\(name): there is no line of text; at least one is needed.")
    }
    return try sequences(of: lines.map(String.init))
  }

  /// Pairs of texts as an encoder reads them.
  ///
  /// - Throws: what opening the tokenizer throws.
  public func texts(of pairs: ScoredPairs) throws -> EmbeddingTexts {
    let texts = try sequences(of: pairs.pairs.flatMap { [$0.first, $0.second] })
    return EmbeddingTexts(
      pairs: pairs.pairs.enumerated().map { ($1.score, texts[2 * $0], texts[2 * $0 + 1]) }
    )
  }

  /// The texts that a file holds for comparing encoders: pairs where its name ends in `.tsv`, else
  /// its lines, of text or of token ids.
  ///
  /// - Throws: `FileError` or `DatasetError` where the file is not what it should be.
  public func embeddingTexts(of path: String) throws -> EmbeddingTexts {
    if ScoredPairs.isNamed(path) { return try texts(of: try ScoredPairs(path)) }
    return EmbeddingTexts(try sequences(of: try DataFile(path)))
  }

  private func sequences(of texts: [String]) throws -> [[Int32]] {
    let tokenizer = try tokenizer()
    let limit = maximumLength ?? 512
    return texts.map { tokenizer.encode($0, limit: limit) }
  }
}
