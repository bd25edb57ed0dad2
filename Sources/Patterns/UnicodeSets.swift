/// The sets that patterns name: general categories, a few properties and scripts.
///
/// They are those of Unicode 16, as Oniguruma in the `tokenizers` package 0.23 has them, whatever newer
/// version the Swift library knows: a text has the same tokens on every system.
package enum UnicodeSets {
  private static let version = 16

  /// The category in that version.
  private static func category(of scalar: Unicode.Scalar) -> Unicode.GeneralCategory {
    // ʕ has no case since version 17.
    if scalar == "\u{295}" { return .lowercaseLetter }
    return scalar.isAssigned(inUnicode: version) ? scalar.properties.generalCategory : .unassigned
  }

  /// The set of a property name as in `\p{Lu}`, or nil where the name is not known.
  ///
  /// Case, spaces, `-` and `_` do not matter.
  static func named(_ name: String) -> ScalarSet? {
    let key = String(
      String.UnicodeScalarView(
        name.lowercased().unicodeScalars.filter { !" _-".unicodeScalars.contains($0) }
      )
    )
    switch key {
    case "any": return .all
    case "alphabetic", "alpha": return alphabetic
    case "whitespace", "space": return whitespace
    case "word": return onigurumaWord
    case "han", "scripthan", "script=han", "sc=han": return han
    case "hiragana": return hiragana
    case "katakana": return katakana
    default: break
    }
    let members = categoryNames.indices.filter { index in
      let (short, long, group) = categoryNames[index]
      return key == short || key == long || key == group || key == String(short.prefix(1))
        || (key == "lc" || key == "casedletter") && index < 3
    }
    guard !members.isEmpty else { return nil }
    return ScalarSet(members.flatMap { categories[$0].ranges })
  }

  static let whitespace = scan { $0.properties.isWhitespace }
  static let alphabetic = scan { $0.properties.isAlphabetic }
  static let digits = category(.decimalNumber)

  /// What words are made of by Unicode's recommendation: letters, marks, decimal digits and connecting punctuation.
  package static let word = ScalarSet(
    alphabetic.ranges + digits.ranges + category(.nonspacingMark).ranges
      + category(.spacingMark).ranges + category(.enclosingMark).ranges
      + category(.connectorPunctuation).ranges
  )

  /// What `\w` means: Oniguruma counts six superscripts and fractions of Latin-1 too.
  static let onigurumaWord = ScalarSet(
    word.ranges + [0xb2...0xb3, 0xb9...0xb9, 0xbc...0xbe]
  )

  static let hexDigits = ScalarSet([0x30...0x39, 0x41...0x46, 0x61...0x66])

  private static let han = ScalarSet([
    0x2e80...0x2e99, 0x2e9b...0x2ef3, 0x2f00...0x2fd5, 0x3005...0x3005, 0x3007...0x3007,
    0x3021...0x3029, 0x3038...0x303b, 0x3400...0x4dbf, 0x4e00...0x9fff, 0xf900...0xfa6d,
    0xfa70...0xfad9, 0x16fe2...0x16fe3, 0x16ff0...0x16ff1, 0x20000...0x2a6df, 0x2a700...0x2b739,
    0x2b740...0x2b81d, 0x2b820...0x2cea1, 0x2ceb0...0x2ebe0, 0x2ebf0...0x2ee5d, 0x2f800...0x2fa1d,
    0x30000...0x3134a, 0x31350...0x323af,
  ])
  private static let hiragana = ScalarSet([
    0x3041...0x3096, 0x309d...0x309f, 0x1b001...0x1b11f, 0x1b132...0x1b132, 0x1b150...0x1b152,
    0x1f200...0x1f200,
  ])
  private static let katakana = ScalarSet([
    0x30a1...0x30fa, 0x30fd...0x30ff, 0x31f0...0x31ff, 0x32d0...0x32fe, 0x3300...0x3357,
    0xff66...0xff6f, 0xff71...0xff9d, 0x1aff0...0x1aff3, 0x1aff5...0x1affb, 0x1affd...0x1affe,
    0x1b000...0x1b000, 0x1b120...0x1b122, 0x1b155...0x1b155, 0x1b164...0x1b167,
  ])

  /// Pairs of scalars that differ only in case, in both directions.
  static let casePartners: [(UInt32, UInt32)] = {
    var folded: [UInt32: [UInt32]] = [:]
    for scalar in scannedScalars where scalar.properties.changesWhenCaseMapped {
      let upper = scalar.properties.uppercaseMapping.unicodeScalars
      guard let only = upper.first, upper.count == 1 else { continue }
      let lower = only.properties.lowercaseMapping.unicodeScalars
      guard let fold = lower.first, lower.count == 1 else { continue }
      folded[fold.value, default: []].append(scalar.value)
    }
    return folded.values.flatMap { family in
      family.flatMap { one in family.compactMap { $0 == one ? nil : (one, $0) } }
    }
  }()

  static func category(_ category: Unicode.GeneralCategory) -> ScalarSet {
    categories[rank(category)]
  }

  /// The planes that hold all letters, digits and spaces.
  private static var scannedScalars: some Sequence<Unicode.Scalar> {
    (UInt32(0)..<0x4_0000).lazy.compactMap(Unicode.Scalar.init)
  }

  /// The scalars of which a property holds.
  private static func scan(_ holds: (Unicode.Scalar) -> Bool) -> ScalarSet {
    var ranges: [ClosedRange<UInt32>] = []
    for scalar in scannedScalars where scalar.isAssigned(inUnicode: version) && holds(scalar) {
      if let last = ranges.last, last.upperBound + 1 == scalar.value {
        ranges[ranges.count - 1] = last.lowerBound...scalar.value
      } else {
        ranges.append(scalar.value...scalar.value)
      }
    }
    return ScalarSet(ranges)
  }

  /// One set for each general category, by rank.
  private static let categories: [ScalarSet] = {
    var ranges = [[ClosedRange<UInt32>]](repeating: [], count: categoryNames.count)
    var start: UInt32 = 0
    var current = 0
    var value: UInt32 = 0
    while value < ScalarSet.limit {
      let scalar = Unicode.Scalar(value)
      let index = scalar.map { rank(category(of: $0)) } ?? rank(.surrogate)
      if value == 0 {
        current = index
      } else if index != current {
        ranges[current].append(start...value - 1)
        (start, current) = (value, index)
      }
      // Planes 4 to 13 are unassigned, 15 and 16 for private use save their last two scalars.
      let isUniform = value >= 0x4_0000 && (value < 0xe_0000 || value >= 0xf_0000)
      value = isUniform && value & 0xffff < 0xfffd ? value | 0xfffd : value + 1
    }
    ranges[current].append(start...ScalarSet.limit - 1)
    return ranges.map { ScalarSet($0) }
  }()

  /// In the order of rank: the short name, the long one, the long name of the group.
  private static let categoryNames: [(String, String, String)] = [
    ("lu", "uppercaseletter", "letter"), ("ll", "lowercaseletter", "letter"),
    ("lt", "titlecaseletter", "letter"), ("lm", "modifierletter", "letter"),
    ("lo", "otherletter", "letter"), ("mn", "nonspacingmark", "mark"),
    ("mc", "spacingmark", "mark"), ("me", "enclosingmark", "mark"),
    ("nd", "decimalnumber", "number"), ("nl", "letternumber", "number"),
    ("no", "othernumber", "number"), ("pc", "connectorpunctuation", "punctuation"),
    ("pd", "dashpunctuation", "punctuation"), ("ps", "openpunctuation", "punctuation"),
    ("pe", "closepunctuation", "punctuation"), ("pi", "initialpunctuation", "punctuation"),
    ("pf", "finalpunctuation", "punctuation"), ("po", "otherpunctuation", "punctuation"),
    ("sm", "mathsymbol", "symbol"), ("sc", "currencysymbol", "symbol"),
    ("sk", "modifiersymbol", "symbol"), ("so", "othersymbol", "symbol"),
    ("zs", "spaceseparator", "separator"), ("zl", "lineseparator", "separator"),
    ("zp", "paragraphseparator", "separator"), ("cc", "control", "other"),
    ("cf", "format", "other"), ("cs", "surrogate", "other"), ("co", "privateuse", "other"),
    ("cn", "unassigned", "other"),
  ]

  private static func rank(_ category: Unicode.GeneralCategory) -> Int {
    switch category {
    case .uppercaseLetter: 0
    case .lowercaseLetter: 1
    case .titlecaseLetter: 2
    case .modifierLetter: 3
    case .otherLetter: 4
    case .nonspacingMark: 5
    case .spacingMark: 6
    case .enclosingMark: 7
    case .decimalNumber: 8
    case .letterNumber: 9
    case .otherNumber: 10
    case .connectorPunctuation: 11
    case .dashPunctuation: 12
    case .openPunctuation: 13
    case .closePunctuation: 14
    case .initialPunctuation: 15
    case .finalPunctuation: 16
    case .otherPunctuation: 17
    case .mathSymbol: 18
    case .currencySymbol: 19
    case .modifierSymbol: 20
    case .otherSymbol: 21
    case .spaceSeparator: 22
    case .lineSeparator: 23
    case .paragraphSeparator: 24
    case .control: 25
    case .format: 26
    case .surrogate: 27
    case .privateUse: 28
    case .unassigned: 29
    @unknown default: 29
    }
  }
}

extension Unicode.Scalar {
  /// Whether a version of Unicode or an earlier one gave the scalar a meaning.
  package func isAssigned(inUnicode major: Int) -> Bool {
    value < 0x80 || properties.age.map { $0.major <= major } ?? true
  }
}
