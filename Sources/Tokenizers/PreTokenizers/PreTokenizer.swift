/// How a normalized text is split into pieces, none of which a token crosses.
indirect enum PreTokenizer: Sendable {
  case sequence([PreTokenizer])
  case split(Split)
  case byteLevel(ByteLevel)
  case metaspace(Metaspace)

  private static let known = [
    "BertPreTokenizer", "ByteLevel", "CharDelimiterSplit", "Digits", "Metaspace", "Punctuation",
    "Sequence", "Split", "Whitespace", "WhitespaceSplit",
  ]

  init(_ fields: Fields) throws(TokenizerError) {
    let type = try fields.type()
    switch type {
    case "Sequence":
      var parts: [PreTokenizer] = []
      for part in try fields.list("pretokenizers") { parts.append(try PreTokenizer(part)) }
      self = .sequence(parts)
    case "Split":
      self = .split(
        Split(
          pattern: try TextPattern(try fields.fields("pattern")),
          behavior: try .init(fields),
          isInverted: try fields.bool("invert", default: false)
        )
      )
    case "ByteLevel":
      self = .byteLevel(
        ByteLevel(
          addsPrefixSpace: try fields.bool("add_prefix_space", default: true),
          splitsWords: try fields.bool("use_regex", default: true)
        )
      )
    case "Metaspace":
      self = .metaspace(try Metaspace(fields))
    case "Digits":
      let areSingle = try fields.bool("individual_digits", default: false)
      self = .split(Split(pattern: Self.digit, behavior: areSingle ? .isolated : .contiguous))
    case "Punctuation":
      self = .split(
        Split(pattern: BertCategories.punctuation, behavior: try .init(fields, default: .isolated))
      )
    case "Whitespace":
      self = .split(Split(pattern: Self.words, behavior: .removed, isInverted: true))
    case "WhitespaceSplit":
      self = .split(Split(pattern: Self.space, behavior: .removed))
    case "BertPreTokenizer":
      self = .sequence([
        .split(Split(pattern: Self.space, behavior: .removed)),
        .split(Split(pattern: BertCategories.punctuation, behavior: .isolated)),
      ])
    case "CharDelimiterSplit":
      let delimiter = Array(String(try fields.scalar("delimiter")).utf8)
      self = .split(Split(pattern: .literal(delimiter), behavior: .removed))
    default:
      throw fields.unknownType(type, known: Self.known)
    }
  }

  private static let digit = TextPattern(known: #"\p{N}"#)
  private static let space = TextPattern(known: #"\s"#)
  /// The joiners belong to words: they hold Indic and Persian ones together.
  private static let words = TextPattern(
    known: #"[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\u200C\u200D]+"#
      + #"|[^\p{Alphabetic}\p{M}\p{Nd}\p{Pc}\s\u200C\u200D]+"#
  )

  func apply(to pieces: inout Pieces) {
    switch self {
    case .sequence(let parts):
      for part in parts { part.apply(to: &pieces) }
    case .split(let split): split.apply(to: &pieces)
    case .byteLevel(let byteLevel): byteLevel.apply(to: &pieces)
    case .metaspace(let metaspace): metaspace.apply(to: &pieces)
    }
  }
}
