import KaratBytes
import KaratPatterns

/// What a component looks for in a text: a literal text or a regular expression.
enum TextPattern: Sendable {
  case literal([UInt8])
  case expression(Pattern)

  /// Reads `{"String": …}` or `{"Regex": …}`.
  init(_ fields: Fields) throws(TokenizerError) {
    if let literal = try fields.optionalString("String") {
      self = .literal(Array(literal.utf8))
    } else if let expression = try fields.optionalString("Regex") {
      do {
        self = .expression(try Pattern(expression))
      } catch {
        throw fields.error(
          at: "Regex",
          "the pattern '\(expression)', at character \(error.offset): \(error.message)"
        )
      }
    } else {
      throw fields.error("holds neither 'String' nor 'Regex'; one is needed.")
    }
  }

  /// A pattern that is part of this program.
  init(known expression: String) {
    do {
      self = .expression(try Pattern(expression))
    } catch {
      preconditionFailure("\(error)")
    }
  }

  /// Calls back for each match from left to right, with its first byte's offset and its end.
  func forEachMatch(
    in text: UnsafeBufferPointer<UInt8>,
    _ body: (_ start: Int, _ end: Int) -> Void
  ) {
    switch self {
    case .expression(let pattern):
      pattern.forEachMatch(in: text, body)
    case .literal(let literal):
      guard let first = literal.first else { return }
      var position = 0
      while position + literal.count <= text.count {
        if text[position] == first, text[position...].starts(with: literal) {
          body(position, position + literal.count)
          position += literal.count
        } else {
          position += 1
        }
      }
    }
  }

  /// A text with every match replaced.
  func replacing(in text: [UInt8], with replacement: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    var copied = 0
    text.withUnsafeBufferPointer { text in
      forEachMatch(in: text) { start, end in
        result += text[copied..<start]
        result += replacement
        copied = end
      }
      if copied > 0 || !result.isEmpty { result += text[copied...] }
    }
    return copied == 0 && result.isEmpty ? text : result
  }
}
