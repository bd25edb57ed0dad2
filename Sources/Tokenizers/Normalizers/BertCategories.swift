import KaratPatterns

/// General categories as the `tokenizers` package has them for BERT: those of Unicode 8.
enum BertCategories {
  static func category(of scalar: Unicode.Scalar) -> Unicode.GeneralCategory {
    guard scalar.value >= 0x300 else { return scalar.properties.generalCategory }
    if let category = changed[scalar.value] { return category }
    return scalar.isAssigned(inUnicode: 8) ? scalar.properties.generalCategory : .unassigned
  }

  /// Punctuation, and the symbols of ASCII.
  static let punctuation: TextPattern = {
    var members = ""
    for scalar in (UInt32(0x80)..<0x2_0000).lazy.compactMap(Unicode.Scalar.init) {
      switch category(of: scalar) {
      case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation,
        .initialPunctuation, .finalPunctuation, .otherPunctuation:
        members.unicodeScalars.append(scalar)
      default: break
      }
    }
    return TextPattern(known: #"[!-/:-@\[-`{-~"# + members + "]")
  }()

  /// Categories that later versions changed.
  private static let changed: [UInt32: Unicode.GeneralCategory] = [
    0x166d: .otherPunctuation, 0x1734: .nonspacingMark, 0x1885: .otherLetter,
    0x1886: .otherLetter, 0xa9bd: .spacingMark, 0x111c9: .otherPunctuation,
    0x1171e: .nonspacingMark,
  ]
}
