/// How a piece becomes ids.
enum TokenModel: Sendable {
  case bytePairEncoding(BytePairEncoding)
  case wordPiece(WordPiece)
  case wordLevel(WordLevel)

  private static let known = ["BPE", "WordLevel", "WordPiece"]

  init(_ fields: Fields) throws(TokenizerError) {
    switch try type(of: fields) {
    case "BPE": self = .bytePairEncoding(try BytePairEncoding(fields))
    case "WordPiece": self = .wordPiece(try WordPiece(fields))
    case "WordLevel": self = .wordLevel(try WordLevel(fields))
    case let type: throw fields.unknownType(type, known: Self.known)
    }
  }

  var vocabulary: Vocabulary {
    switch self {
    case .bytePairEncoding(let model): model.vocabulary
    case .wordPiece(let model): model.vocabulary
    case .wordLevel(let model): model.vocabulary
    }
  }

  func encode(_ pieces: Pieces, into ids: inout [Int32]) {
    switch self {
    case .bytePairEncoding(let model): model.encode(pieces, into: &ids)
    case .wordPiece(let model): model.encode(pieces, into: &ids)
    case .wordLevel(let model): model.encode(pieces, into: &ids)
    }
  }
}

/// The model's type; files from before it was written hold merges or they do not.
private func type(of fields: Fields) throws(TokenizerError) -> String {
  if let type = try fields.optionalString("type") { return type }
  return fields.optional("merges") == nil ? "WordPiece" : "BPE"
}
