/// What happens to a text before it is split.
indirect enum Normalizer: Sendable {
  case sequence([Normalizer])
  case unicode(UnicodeNormalization)
  case lowercase
  case stripAccents
  case replace(TextPattern, with: [UInt8])
  case prepend([UInt8])
  case strip(left: Bool, right: Bool)
  case bert(BertNormalizer)
  case byteLevel

  private static let known = [
    "BertNormalizer", "ByteLevel", "Lowercase", "NFC", "NFD", "NFKC", "NFKD", "Prepend",
    "Replace", "Sequence", "Strip", "StripAccents",
  ]

  init(_ fields: Fields) throws(TokenizerError) {
    let type = try fields.type()
    switch type {
    case "Sequence":
      var parts: [Normalizer] = []
      for part in try fields.list("normalizers") { parts.append(try Normalizer(part)) }
      self = .sequence(parts)
    case "NFC": self = .unicode(.init(isCompatible: false, isComposed: true))
    case "NFD": self = .unicode(.init(isCompatible: false, isComposed: false))
    case "NFKC": self = .unicode(.init(isCompatible: true, isComposed: true))
    case "NFKD": self = .unicode(.init(isCompatible: true, isComposed: false))
    case "Lowercase": self = .lowercase
    case "StripAccents": self = .stripAccents
    case "Replace":
      self = .replace(
        try TextPattern(try fields.fields("pattern")),
        with: Array(try fields.string("content").utf8)
      )
    case "Prepend": self = .prepend(Array(try fields.string("prepend").utf8))
    case "Strip":
      self = .strip(left: try fields.bool("strip_left"), right: try fields.bool("strip_right"))
    case "BertNormalizer": self = .bert(try BertNormalizer(fields))
    case "ByteLevel": self = .byteLevel
    default: throw fields.unknownType(type, known: Self.known)
    }
  }

  /// The normalized form of a text in UTF-8.
  func normalize(_ text: [UInt8]) -> [UInt8] {
    switch self {
    case .sequence(let parts): return parts.reduce(text) { $1.normalize($0) }
    case .unicode(let form): return form.normalize(text)
    case .lowercase: return text.lowercased()
    case .stripAccents: return text.filteringScalars { !$0.properties.isMark }
    case .replace(let pattern, let replacement):
      return pattern.replacing(in: text, with: replacement)
    case .prepend(let prefix): return text.isEmpty ? text : prefix + text
    case .strip(let left, let right):
      return text.trimmed(left: left, right: right) { $0.properties.isWhitespace }
    case .bert(let bert): return bert.normalize(text)
    case .byteLevel: return ByteLevel.characters(of: text[...])
    }
  }
}
