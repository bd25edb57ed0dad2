/// BERT's encoding: from the left the longest token each time, or the whole piece is unknown.
struct WordPiece: Sendable {
  let vocabulary: Vocabulary
  private let unknown: Int32
  private let prefix: [UInt8]
  /// In scalars; longer pieces are unknown.
  private let longestPiece: Int

  init(_ fields: Fields) throws(TokenizerError) {
    vocabulary = try Vocabulary(try fields.fields("vocab"))
    prefix = Array((try fields.optionalString("continuing_subword_prefix") ?? "##").utf8)
    longestPiece = try fields.count("max_input_chars_per_word", default: 100)
    let token = try fields.optionalString("unk_token") ?? "[UNK]"
    guard let id = vocabulary.id(of: token) else {
      throw fields.error(at: "unk_token", "'\(token)', which is not in the vocabulary.")
    }
    unknown = id
  }

  /// Appends the ids of pieces in UTF-8.
  func encode(_ pieces: Pieces, into ids: inout [Int32]) {
    for span in pieces.spans {
      let start = ids.count
      if !encode(pieces.bytes[span], into: &ids) {
        ids.removeLast(ids.count - start)
        ids.append(unknown)
      }
    }
  }

  private func encode(_ piece: ArraySlice<UInt8>, into ids: inout [Int32]) -> Bool {
    guard piece.count(where: { $0 & 0xc0 != 0x80 }) <= longestPiece else { return false }
    var rest = piece
    while !rest.isEmpty {
      var candidate = (rest.startIndex == piece.startIndex ? [] : prefix) + rest
      let shortest = candidate.count - rest.count
      var id = vocabulary.id(of: candidate)
      while id == nil {
        while let last = candidate.popLast(), last & 0xc0 == 0x80 {}
        guard candidate.count > shortest else { return false }
        id = vocabulary.id(of: candidate)
      }
      guard let id else { return false }
      ids.append(id)
      rest = rest.dropFirst(candidate.count - shortest)
    }
    return true
  }
}
