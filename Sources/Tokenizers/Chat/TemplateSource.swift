/// A template's text, in which literals are looked up; `\n` in a literal is a line feed.
struct TemplateSource: Sendable {
  private let bytes: [UInt8]

  init(_ template: String) {
    var bytes: [UInt8] = []
    var isEscaped = false
    for byte in template.utf8 {
      if isEscaped {
        bytes.append(byte == UInt8(ascii: "n") ? UInt8(ascii: "\n") : byte)
      } else if byte != UInt8(ascii: "\\") {
        bytes.append(byte)
      }
      isEscaped = !isEscaped && byte == UInt8(ascii: "\\")
    }
    self.bytes = bytes
  }

  func contains(_ text: String) -> Bool { !places(of: text).isEmpty }

  /// Whether a text stands alone between quotation marks.
  func hasLiteral(_ text: String) -> Bool { contains("'\(text)'") || contains("\"\(text)\"") }

  /// Whether white space at the ends of messages is cut.
  var trimsContent: Bool {
    let compact = TemplateSource(bytes: bytes.filter { $0 != 0x20 })
    return ["content']", "content\"]", "content", "content)"].contains {
      compact.contains($0 + "|trim")
    }
  }

  /// The rest of the literal, or of the text outside expressions, behind a text's last place.
  func literal(behindLast text: String) -> String {
    guard let last = places(of: text).last else { return "" }
    let rest = bytes[(last + text.utf8.count)...]
    return String(decoding: rest.prefix { !Self.ends.contains($0) }, as: UTF8.self)
  }

  /// The first text between two others that is part of one literal.
  func text(from start: String, to end: String) -> String? {
    for place in places(of: start) {
      let literal = bytes[(place + start.utf8.count)...].prefix { !Self.ends.contains($0) }
      let found = TemplateSource(bytes: Array(literal)).places(of: end).first
      if let found { return String(decoding: literal.prefix(found), as: UTF8.self) }
    }
    return nil
  }

  /// What ends a literal, or the text outside expressions.
  private static let ends: Set<UInt8> = Set("'\"{".utf8)

  private init(bytes: [UInt8]) {
    self.bytes = bytes
  }

  private func places(of text: String) -> [Int] {
    var places: [Int] = []
    bytes.withUnsafeBufferPointer { bytes in
      TextPattern.literal(Array(text.utf8)).forEachMatch(in: bytes) { start, _ in
        places.append(start)
      }
    }
    return places
  }
}
