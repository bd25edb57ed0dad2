/// The plainest model: each piece is a token or unknown.
struct WordLevel: Sendable {
  let vocabulary: Vocabulary
  private let unknown: Int32?

  init(_ fields: Fields) throws(TokenizerError) {
    vocabulary = try Vocabulary(try fields.fields("vocab"))
    unknown = vocabulary.id(of: try fields.string("unk_token"))
  }

  /// Appends the ids of pieces in UTF-8.
  func encode(_ pieces: Pieces, into ids: inout [Int32]) {
    for span in pieces.spans {
      if let id = vocabulary.id(of: Array(pieces.bytes[span])) ?? unknown { ids.append(id) }
    }
  }
}
