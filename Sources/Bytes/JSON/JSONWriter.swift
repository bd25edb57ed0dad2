extension JSONValue {
  /// Writes the value as UTF-8 text, always in the same bytes.
  ///
  /// - Parameter indent: the spaces by which each level is set in, one member or element to a line,
  ///   as Python's `json.dumps(indent:ensure_ascii=False)` does; nil for one line without spaces.
  /// - Returns: the text, without a line break at its end.
  public func serialized(indent: Int? = 2) -> [UInt8] {
    var writer = JSONWriter(indent: indent)
    writer.write(self)
    return writer.text
  }
}

/// Appends values to a text.
package struct JSONWriter {
  /// The text so far.
  package private(set) var text: [UInt8] = []
  private let indent: Int?
  private var level = 0

  /// Makes a writer of an empty text.
  package init(indent: Int? = nil) {
    self.indent = indent
  }

  /// Appends a value.
  package mutating func write(_ value: JSONValue) {
    switch value {
    case .null: append("null")
    case .bool(let value): append(value ? "true" : "false")
    case .number(let number): append(number.text)
    case .string(let string): write(string)
    case .array(let values):
      list(values, in: "[", "]") { writer, value in writer.write(value) }
    case .object(let object):
      list(object.members, in: "{", "}") { writer, member in
        writer.write(member.key)
        writer.append(writer.indent == nil ? ":" : ": ")
        writer.write(member.value)
      }
    }
  }

  /// Appends a string in quotes; what needs no escape stays as it is.
  package mutating func write(_ string: String) {
    append("\"")
    for byte in string.utf8 {
      switch byte {
      case UInt8(ascii: "\""): append("\\\"")
      case UInt8(ascii: "\\"): append("\\\\")
      case 0x08: append("\\b")
      case 0x09: append("\\t")
      case 0x0a: append("\\n")
      case 0x0c: append("\\f")
      case 0x0d: append("\\r")
      case ..<0x10: append("\\u000" + String(byte, radix: 16))
      case ..<0x20: append("\\u00" + String(byte, radix: 16))
      default: text.append(byte)
      }
    }
    append("\"")
  }

  private mutating func list<Element>(
    _ elements: [Element],
    in open: String,
    _ close: String,
    write: (inout JSONWriter, Element) -> Void
  ) {
    append(open)
    level += 1
    for (index, element) in elements.enumerated() {
      if index > 0 { append(",") }
      breakLine()
      write(&self, element)
    }
    level -= 1
    if !elements.isEmpty { breakLine() }
    append(close)
  }

  private mutating func breakLine() {
    guard let indent else { return }
    text.append(UInt8(ascii: "\n"))
    text.append(contentsOf: repeatElement(UInt8(ascii: " "), count: indent * level))
  }

  /// Appends a piece of JSON that is ready.
  package mutating func append(_ string: String) {
    text.append(contentsOf: string.utf8)
  }
}
