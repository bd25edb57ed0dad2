/// SentencePiece's way to spell spaces, as `▁`, put before words.
struct Metaspace: Sendable {
  let replacement: [UInt8]
  let prepend: Prepend
  let splitsWords: Bool

  /// Which pieces get a replacement before their first word.
  enum Prepend: String, Sendable, CaseIterable {
    case always, first, never
  }

  private let split: Split

  init(_ fields: Fields) throws(TokenizerError) {
    replacement = Array(String(try fields.scalar("replacement", default: "▁")).utf8)
    splitsWords = try fields.bool("split", default: true)
    if let name = try fields.optionalString("prepend_scheme") {
      guard let scheme = Prepend(rawValue: name) else {
        let known = Prepend.allCases.map(\.rawValue).joined(separator: ", ")
        throw fields.error(
          at: "prepend_scheme",
          "'\(name)' is not supported; known here: \(known)."
        )
      }
      prepend = scheme
    } else {
      // Files from before the scheme had a name.
      prepend = try fields.bool("add_prefix_space", default: true) ? .always : .never
    }
    split = Split(pattern: .literal(replacement), behavior: .mergedWithNext)
  }

  func apply(to pieces: inout Pieces) {
    pieces.rewrite { piece, isFirst, result in
      let isPrepended = prepend == .always || prepend == .first && isFirst
      if isPrepended, piece.first != UInt8(ascii: " "), !piece.starts(with: replacement) {
        result += replacement
      }
      for byte in piece {
        if byte == UInt8(ascii: " ") { result += replacement } else { result.append(byte) }
      }
    }
    if splitsWords { split.apply(to: &pieces) }
  }
}
