/// A token that is found in the text itself, before the model sees it.
public struct AddedToken: Sendable {
  /// The token's text.
  public let text: String
  /// The token's id.
  public let id: Int32
  /// Whether it steers the model rather than being text, such as an end-of-text mark.
  public let isSpecial: Bool
  /// Found only between characters that are no part of words.
  let isSingleWord: Bool
  /// Takes the white space before it along.
  let stripsLeft: Bool
  /// Takes the white space behind it along.
  let stripsRight: Bool
  /// Found in the normalized text.
  let isNormalized: Bool

  /// White space alone, as some vocabularies have for runs of spaces.
  let isBlank: Bool

  init(_ fields: Fields) throws(TokenizerError) {
    text = try fields.string("content")
    let id = try fields.int("id")
    guard (0..<Vocabulary.limit).contains(id) else {
      throw fields.error(
        at: "id",
        "\(id); an id from 0 to \(Vocabulary.limit - 1) is needed."
      )
    }
    self.id = Int32(id)
    guard text.utf8.count <= TokenTrie.longestToken else {
      throw fields.error(
        at: "content",
        "\(text.utf8.count) bytes; at most \(TokenTrie.longestToken) are supported."
      )
    }
    isBlank = text.unicodeScalars.allSatisfy(\.properties.isWhitespace)
    isSpecial = try fields.bool("special", default: false)
    isSingleWord = try fields.bool("single_word", default: false)
    stripsLeft = try fields.bool("lstrip", default: false)
    stripsRight = try fields.bool("rstrip", default: false)
    isNormalized = try fields.bool("normalized", default: !isSpecial)
  }
}
