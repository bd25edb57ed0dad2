/// A text for a model in which the program's own marks are apart from what users wrote.
public struct Prompt: Sendable, Hashable {
  /// A run of the text.
  enum Part: Sendable, Hashable {
    /// The program's own: tokens that are written in it are found.
    case markup(String)
    /// Someone's text: what looks like a token in it stays text.
    case text(String)
  }

  private(set) var parts: [Part] = []

  /// Starts an empty prompt.
  public init() {}

  /// Appends text of the program's own, in which written tokens become their ids.
  public mutating func append(markup: String) {
    if !markup.isEmpty { parts.append(.markup(markup)) }
  }

  /// Appends a user's text, which can hold no token that steers the model, whatever is written
  /// in it.
  public mutating func append(text: String) {
    if !text.isEmpty { parts.append(.text(text)) }
  }
}

extension Tokenizer {
  /// Encodes a prompt: as its whole text is encoded, but for tokens written in users' texts.
  ///
  /// Where a template's mark is no token of this vocabulary, it is text like the rest.
  ///
  /// - Returns: the ids, nothing added around them. Time grows as n log n at most.
  public func encode(_ prompt: Prompt) -> [Int32] {
    var ids: [Int32] = []
    var section: [UInt8] = []
    func endSection() {
      for part in addedTokens.parts(of: section, isNormalized: false, finding: .blank) {
        switch part {
        case .token(let id): ids.append(id)
        case .text(let range):
          encode(section: Array(section[range]), ids.isEmpty, finding: .blank, into: &ids)
        }
      }
      section = []
    }
    func find(_ text: [UInt8], isNormalized: Bool) {
      for part in addedTokens.parts(of: text, isNormalized: isNormalized) {
        switch part {
        case .token(let id):
          endSection()
          ids.append(id)
        case .text(let range) where isNormalized: section += text[range]
        case .text(let range): find(Array(text[range]), isNormalized: true)
        }
      }
    }
    for part in prompt.parts {
      switch part {
      case .markup(let text): find(Array(text.utf8), isNormalized: false)
      case .text(let text): section += Array(text.utf8)
      }
    }
    endSection()
    return ids
  }
}
