import KaratBytes

/// How the texts of tokens become one text.
indirect enum Decoder: Sendable {
  case sequence([Decoder])
  case byteLevel
  case byteFallback
  case fuse
  case metaspace(replacement: Unicode.Scalar, dropsFirst: Bool)
  case replace(TextPattern, with: [UInt8])
  case strip(Unicode.Scalar, left: Int, right: Int)
  case wordPiece(prefix: [UInt8], cleansUp: Bool)
  case wordEnd(suffix: [UInt8])

  private static let known = [
    "BPEDecoder", "ByteFallback", "ByteLevel", "Fuse", "Metaspace", "Replace", "Sequence",
    "Strip", "WordPiece",
  ]

  init(_ fields: Fields) throws(TokenizerError) {
    let type = try fields.type()
    switch type {
    case "Sequence":
      var parts: [Decoder] = []
      for part in try fields.list("decoders") { parts.append(try Decoder(part)) }
      self = .sequence(parts)
    case "ByteLevel": self = .byteLevel
    case "ByteFallback": self = .byteFallback
    case "Fuse": self = .fuse
    case "Metaspace":
      let metaspace = try Metaspace(fields)
      self = .metaspace(
        replacement: try fields.scalar("replacement", default: "▁"),
        dropsFirst: metaspace.prepend != .never
      )
    case "Replace":
      self = .replace(
        try TextPattern(try fields.fields("pattern")),
        with: Array(try fields.string("content").utf8)
      )
    case "Strip":
      self = .strip(
        try fields.scalar("content"),
        left: try fields.count("start"),
        right: try fields.count("stop")
      )
    case "WordPiece":
      self = .wordPiece(
        prefix: Array((try fields.optionalString("prefix") ?? "##").utf8),
        cleansUp: try fields.bool("cleanup", default: true)
      )
    case "BPEDecoder":
      self = .wordEnd(suffix: Array((try fields.optionalString("suffix") ?? "</w>").utf8))
    default: throw fields.unknownType(type, known: Self.known)
    }
  }

  /// The texts that follow from the tokens' own: to be joined, or decoded further.
  ///
  /// Byte-level decoding may leave a text that is not UTF-8 where the tokens are not whole
  /// characters.
  func decode(_ tokens: [[UInt8]]) -> [[UInt8]] {
    switch self {
    case .sequence(let parts): return parts.reduce(tokens) { $1.decode($0) }
    case .byteLevel: return [tokens.flatMap(ByteLevel.bytes)]
    case .byteFallback: return Self.joiningBytes(tokens)
    case .fuse: return [Array(tokens.joined())]
    case .metaspace(let replacement, let dropsFirst):
      return tokens.enumerated().map { index, token in
        token.mappingScalars { scalar, result in
          if scalar != replacement {
            result.append(scalar)
          } else if index > 0 || !dropsFirst {
            result.append(UInt8(ascii: " "))
          }
        }
      }
    case .replace(let pattern, let replacement):
      return tokens.map { pattern.replacing(in: $0, with: replacement) }
    case .strip(let scalar, let left, let right):
      return tokens.map { Self.strip($0, scalar, left, right) }
    case .wordPiece(let prefix, let cleansUp):
      return tokens.enumerated().map { index, token in
        var token = token
        if index > 0 {
          token = token.starts(with: prefix) ? Array(token.dropFirst(prefix.count)) : [0x20] + token
        }
        return cleansUp ? Self.cleanedUp(token) : token
      }
    case .wordEnd(let suffix):
      let space = TextPattern.literal(suffix)
      return tokens.enumerated().map { index, token in
        space.replacing(in: token, with: index == tokens.count - 1 ? [] : [0x20])
      }
    }
  }

  /// Whether a token's text alone may be a part of a character that others complete.
  var joinsByteTokens: Bool {
    switch self {
    case .sequence(let parts): parts.contains(where: \.joinsByteTokens)
    case .byteFallback: true
    default: false
    }
  }

  /// Puts runs of tokens such as `<0xE2>` together; a run that is not UTF-8 becomes one U+FFFD
  /// for each byte.
  private static func joiningBytes(_ tokens: [[UInt8]]) -> [[UInt8]] {
    var result: [[UInt8]] = []
    var run: [UInt8] = []
    func endRun() {
      if !run.isEmpty, String(validating: run, as: UTF8.self) != nil {
        result.append(run)
      } else {
        result += repeatElement(Array("\u{fffd}".utf8), count: run.count)
      }
      run = []
    }
    for token in tokens {
      if let byte = ByteToken.byte(of: token) {
        run.append(byte)
      } else {
        endRun()
        result.append(token)
      }
    }
    endRun()
    return result
  }

  private static func strip(
    _ token: [UInt8],
    _ scalar: Unicode.Scalar,
    _ left: Int,
    _ right: Int
  ) -> [UInt8] {
    let cut = Array(String(scalar).utf8)
    var kept = token[...]
    for _ in 0..<left {
      guard kept.starts(with: cut) else { break }
      kept = kept.dropFirst(cut.count)
    }
    for _ in 0..<right {
      guard kept.suffix(cut.count).elementsEqual(cut) else { break }
      kept = kept.dropLast(cut.count)
    }
    return Array(kept)
  }

  /// Takes back the spaces that splitting put before punctuation and clitics.
  private static func cleanedUp(_ token: [UInt8]) -> [UInt8] {
    cleanups.reduce(token) { token, cleanup in
      cleanup.pattern.replacing(in: token, with: cleanup.replacement)
    }
  }

  private static let cleanups: [(pattern: TextPattern, replacement: [UInt8])] = [
    (" .", "."), (" ?", "?"), (" !", "!"), (" ,", ","), (" ' ", "'"), (" n't", "n't"),
    (" 'm", "'m"), (" do not", " don't"), (" 's", "'s"), (" 've", "'ve"), (" 're", "'re"),
  ].map { (.literal(Array($0.utf8)), Array($1.utf8)) }
}
