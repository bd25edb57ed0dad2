/// A text as a key that is equal to another only where all its UTF-8 bytes are.
///
/// `String` compares by canonical equivalence: "é" as one scalar and as two would be one key.
package struct UTF8Key: Sendable, Hashable {
  /// The text.
  package let text: String

  /// Makes a key of a text.
  package init(_ text: String) {
    self.text = text
  }

  /// Whether the texts have the same UTF-8 bytes.
  package static func == (left: UTF8Key, right: UTF8Key) -> Bool {
    left.text.utf8.count == right.text.utf8.count
      && left.withBytes { left in right.withBytes { left.elementsEqual($0) } }
  }

  /// Hashes the UTF-8 bytes.
  package func hash(into hasher: inout Hasher) {
    withBytes { hasher.combine(bytes: $0) }
    hasher.combine(0xff as UInt8)
  }

  private func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
    var text = text
    return text.withUTF8 { body(UnsafeRawBufferPointer($0)) }
  }
}
