/// Where a JSON text breaks the rules of RFC 8259, and what was needed there.
public struct JSONError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The offset of the offending byte from the start of the text.
  public let offset: Int
  /// The line of the offending byte, counted from 1.
  public let line: Int
  /// The column of the offending byte, counted from 1 in Unicode scalars.
  public let column: Int
  /// What was found and what was needed there.
  public let message: String

  /// Describes a fault at an offset of a text.
  package init(in text: UnsafeRawBufferPointer, at offset: Int, _ message: String) {
    var line = 1
    var column = 1
    for byte in text.prefix(offset) {
      if byte == UInt8(ascii: "\n") {
        line += 1
        column = 1
      } else if byte & 0b1100_0000 != 0b1000_0000 {
        column += 1
      }
    }
    self.offset = offset
    self.line = line
    self.column = column
    self.message = message
  }

  /// The place and the message.
  public var description: String { "line \(line), column \(column): \(message)" }
}
