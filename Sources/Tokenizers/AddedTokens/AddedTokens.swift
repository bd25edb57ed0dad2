import KaratPatterns

/// All added tokens of a tokenizer and how they cut a text.
struct AddedTokens: Sendable {
  let tokens: [AddedToken]
  private var ids: ByteTable
  private var byID: [Int32: Int] = [:]
  /// For tokens found in the text as it is.
  private var raw = TokenTrie()
  /// For tokens found in the normalized text.
  private var normalized = TokenTrie()

  /// A part of a text: a token, or a text between tokens.
  enum Part {
    case token(Int32)
    case text(Range<Int>)
  }

  /// Which tokens are found in a text.
  enum Found {
    case all
    /// Those of white space alone, which steer nothing: for texts that are not trusted.
    case blank
  }

  init(
    _ list: [Fields],
    vocabulary: Vocabulary,
    normalizer: Normalizer?
  ) throws(TokenizerError) {
    ids = ByteTable(capacity: list.count)
    var tokens: [AddedToken] = []
    for fields in list {
      let token = try AddedToken(fields)
      if let id = vocabulary.id(of: token.text), id != token.id {
        throw fields.error(
          at: "id",
          "\(token.id) for '\(token.text)', which has the id \(id) in the vocabulary."
        )
      }
      if vocabulary.id(of: token.text) == nil, let other = vocabulary.token(of: token.id) {
        throw fields.error(
          at: "id",
          "\(token.id) for '\(token.text)'; in the vocabulary '\(String(decoding: other, as: UTF8.self))' has it."
        )
      }
      guard ids.insert(token.text.utf8).isNew else {
        throw fields.error(at: "content", "'\(token.text)', which is there twice.")
      }
      if let other = byID.updateValue(tokens.count, forKey: token.id) {
        throw fields.error(
          at: "id",
          "\(token.id), which '\(tokens[other].text)' has already; each token needs its own."
        )
      }
      if token.isNormalized, let normalizer {
        normalized.insert(normalizer.normalize(Array(token.text.utf8)), value: tokens.count)
      } else if token.isNormalized {
        normalized.insert(token.text.utf8, value: tokens.count)
      } else {
        raw.insert(token.text.utf8, value: tokens.count)
      }
      tokens.append(token)
    }
    self.tokens = tokens
  }

  func token(of id: Int32) -> AddedToken? { byID[id].map { tokens[$0] } }

  func id(of text: String) -> Int32? { ids.index(of: Array(text.utf8)).map { tokens[$0].id } }

  /// One more than the highest id.
  var upperBound: Int { tokens.map { Int($0.id) + 1 }.max() ?? 0 }

  /// Cuts a text at the tokens that are found in it as it is, or in its normalized form.
  func parts(of text: [UInt8], isNormalized: Bool, finding found: Found = .all) -> [Part] {
    let trie = isNormalized ? normalized : raw
    guard !trie.isEmpty else { return text.isEmpty ? [] : [.text(0..<text.count)] }
    var parts: [Part] = []
    var done = 0
    text.withUnsafeBufferPointer { text in
      var place = 0
      while let (range, index) = trie.nextMatch(in: text, from: place) {
        place = range.upperBound
        let token = tokens[index]
        if found == .blank, !token.isBlank {
          place = range.lowerBound + 1
          continue
        }
        var (start, end) = (range.lowerBound, range.upperBound)
        if token.isSingleWord,
          endsInWord(text[..<start]) || UTF8Text.first(text[end...]).map(isWord) ?? false
        {
          continue
        }
        if token.stripsLeft {
          while start > done, let last = UTF8Text.last(text[done..<start]),
            last.properties.isWhitespace
          {
            start -= UTF8.width(last)
          }
        }
        if token.stripsRight {
          while let next = UTF8Text.first(text[end...]), next.properties.isWhitespace {
            end += UTF8.width(next)
          }
        }
        if done < start { parts.append(.text(done..<start)) }
        parts.append(.token(token.id))
        done = max(done, end)
      }
      if done < text.count { parts.append(.text(done..<text.count)) }
    }
    return parts
  }

  private func endsInWord(_ text: Slice<UnsafeBufferPointer<UInt8>>) -> Bool {
    UTF8Text.last(text).map(isWord) ?? false
  }

  private func isWord(_ scalar: Unicode.Scalar) -> Bool {
    UnicodeSets.word.contains(scalar.value) || scalar == "\u{200c}" || scalar == "\u{200d}"
  }
}

/// The scalars at the ends of a text in UTF-8.
enum UTF8Text {
  static func first(_ text: Slice<UnsafeBufferPointer<UInt8>>) -> Unicode.Scalar? {
    guard let lead = text.first else { return nil }
    return String(decoding: text.prefix(UTF8Lead.length(lead)), as: UTF8.self).unicodeScalars.first
  }

  static func last(_ text: Slice<UnsafeBufferPointer<UInt8>>) -> Unicode.Scalar? {
    guard let start = text.lastIndex(where: { $0 & 0xc0 != 0x80 }) else { return nil }
    return String(decoding: text[start...], as: UTF8.self).unicodeScalars.first
  }
}
