import KaratBytes

/// Byte-pair encoding: a piece's characters, merged pair by pair in the order of the merges.
struct BytePairEncoding: Sendable {
  let vocabulary: Vocabulary
  private let merges: MergeTable
  /// Stands for characters that are no token.
  private let unknown: Int32?
  private let fusesUnknown: Bool
  /// By byte the id of its token `<0x..>`, where the model spells unknown characters so.
  private let byteTokens: [Int32]?
  private let ignoresMerges: Bool
  private let prefix: [UInt8]
  private let suffix: [UInt8]
  /// By scalar the id of its token, or -1.
  private let characters: [Int32]
  private let workshop = Workshop()

  init(_ fields: Fields) throws(TokenizerError) {
    vocabulary = try Vocabulary(try fields.fields("vocab"))
    prefix = Array((try fields.optionalString("continuing_subword_prefix") ?? "").utf8)
    suffix = Array((try fields.optionalString("end_of_word_suffix") ?? "").utf8)
    fusesUnknown = try fields.bool("fuse_unk", default: false)
    ignoresMerges = try fields.bool("ignore_merges", default: false)
    if let token = try fields.optionalString("unk_token") {
      guard let id = vocabulary.id(of: token) else {
        throw fields.error(at: "unk_token", "'\(token)', which is not in the vocabulary.")
      }
      unknown = id
    } else {
      unknown = nil
    }
    byteTokens =
      try fields.bool("byte_fallback", default: false)
      ? (0..<256).map { [vocabulary] byte in vocabulary.id(of: ByteToken.text(byte)) ?? -1 } : nil
    characters = (UInt32(0)..<0x250).map { [vocabulary] scalar in
      Unicode.Scalar(scalar).flatMap { vocabulary.id(of: String($0)) } ?? -1
    }
    merges = try Self.merges(fields, vocabulary, prefix: prefix)
  }

  /// Reads merges written as `"a b"` or `["a", "b"]`.
  private static func merges(
    _ fields: Fields,
    _ vocabulary: Vocabulary,
    prefix: [UInt8]
  ) throws(TokenizerError) -> MergeTable {
    let values = try fields.array("merges")
    var table = MergeTable(capacity: values.count)
    for (index, value) in values.enumerated() {
      func error(_ message: String) -> TokenizerError {
        fields.error(at: "merges[\(index)]", message)
      }
      let (left, right): (ArraySlice<UInt8>, ArraySlice<UInt8>)
      if let text = value.string {
        let parts = Array(text.utf8).split(
          separator: UInt8(ascii: " "),
          omittingEmptySubsequences: false
        )
        guard parts.count == 2 else {
          throw error("'\(text)'; two tokens with one space between them are needed.")
        }
        (left, right) = (parts[0], parts[1])
      } else if let pair = value.array, pair.count == 2, let first = pair[0].string,
        let second = pair[1].string
      {
        (left, right) = (Array(first.utf8)[...], Array(second.utf8)[...])
      } else {
        throw error("\(value.kind); \"left right\" or [\"left\", \"right\"] is needed.")
      }
      func id(_ token: ArraySlice<UInt8>) throws(TokenizerError) -> Int32 {
        guard let id = vocabulary.id(of: Array(token)) else {
          throw error(
            "'\(String(decoding: token, as: UTF8.self))', which is not in the vocabulary."
          )
        }
        return id
      }
      let continued = right.starts(with: prefix) ? right.dropFirst(prefix.count) : right
      table.append(try id(left), try id(right), result: try id(left + continued))
    }
    return table
  }

  /// Appends the ids of pieces in UTF-8.
  func encode(_ pieces: Pieces, into ids: inout [Int32]) {
    workshop.withBench { bench in
      pieces.bytes.withUnsafeBufferPointer { bytes in
        for span in pieces.spans {
          encode(UnsafeBufferPointer(rebasing: bytes[span]), &bench, into: &ids)
        }
      }
    }
  }

  private func encode(
    _ piece: UnsafeBufferPointer<UInt8>,
    _ bench: inout Workshop.Bench,
    into ids: inout [Int32]
  ) {
    guard piece.count <= WordCache.longestText else {
      return encodeAnew(piece, &bench.word, into: &ids)
    }
    let hash = ByteHash.hash(piece)
    if bench.cache.append(piece, hash: hash, to: &ids) { return }
    let start = ids.count
    encodeAnew(piece, &bench.word, into: &ids)
    bench.cache.insert(piece, hash: hash, ids: ids[start...])
  }

  private func encodeAnew(
    _ piece: UnsafeBufferPointer<UInt8>,
    _ word: inout Word,
    into ids: inout [Int32]
  ) {
    if ignoresMerges, let id = vocabulary.id(of: piece) {
      ids.append(id)
      return
    }
    word.removeAll()
    spell(piece, into: &word)
    word.merge(by: merges, into: &ids)
  }

  /// Puts the ids of a piece's characters into a word.
  private func spell(_ piece: UnsafeBufferPointer<UInt8>, into word: inout Word) {
    var hasUnknown = false
    var position = 0
    while position < piece.count {
      let length = UTF8Lead.length(piece[position])
      let end = min(position + length, piece.count)
      let character = UnsafeBufferPointer(rebasing: piece[position..<end])
      if let id = id(of: character, isFirst: position == 0, isLast: end == piece.count) {
        if hasUnknown, let unknown { word.append(unknown) }
        hasUnknown = false
        word.append(id)
      } else if let byteTokens, character.allSatisfy({ byteTokens[Int($0)] >= 0 }) {
        for byte in character { word.append(byteTokens[Int(byte)]) }
      } else {
        if hasUnknown, !fusesUnknown, let unknown { word.append(unknown) }
        hasUnknown = true
      }
      position = end
    }
    if hasUnknown, let unknown { word.append(unknown) }
  }

  @inline(__always)
  private func id(
    of character: UnsafeBufferPointer<UInt8>,
    isFirst: Bool,
    isLast: Bool
  ) -> Int32? {
    guard prefix.isEmpty || isFirst, suffix.isEmpty || !isLast else {
      return vocabulary.id(of: (isFirst ? [] : prefix) + character + (isLast ? suffix : []))
    }
    let lead = character[0]
    let scalar: Int
    if lead < 0x80 {
      scalar = Int(lead)
    } else if character.count == 2 {
      scalar = Int(lead & 0x1f) << 6 | Int(character[1] & 0x3f)
    } else {
      return vocabulary.id(of: character)
    }
    guard scalar < characters.count else { return vocabulary.id(of: character) }
    return characters[scalar] < 0 ? nil : characters[scalar]
  }
}

/// How many bytes a scalar has in UTF-8.
enum UTF8Lead {
  @inline(__always)
  static func length(_ lead: UInt8) -> Int {
    lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4
  }
}

/// The tokens `<0x00>` to `<0xFF>` that stand for bytes.
enum ByteToken {
  static func text(_ byte: Int) -> String {
    let digits = String(byte, radix: 16, uppercase: true)
    return "<0x\(digits.utf8.count < 2 ? "0" : "")\(digits)>"
  }

  /// The byte that a token stands for, where it is such a token.
  static func byte(of token: [UInt8]) -> UInt8? {
    guard token.count == 6, token.starts(with: "<0x".utf8), token[5] == UInt8(ascii: ">"),
      token[3] != UInt8(ascii: "+")
    else { return nil }
    return UInt8(String(decoding: token[3...4], as: UTF8.self), radix: 16)
  }
}
