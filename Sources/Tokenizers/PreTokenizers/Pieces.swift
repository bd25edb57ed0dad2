/// A text in UTF-8 and the pieces it is split into.
struct Pieces: Sendable {
  var bytes: [UInt8]
  /// The pieces' places in `bytes`, rising, without overlap, none empty.
  var spans: [Range<Int>]
  /// Whether the first piece is at the start of the whole text.
  let beginText: Bool

  init(_ bytes: [UInt8], beginText: Bool) {
    self.bytes = bytes
    spans = bytes.isEmpty ? [] : [0..<bytes.count]
    self.beginText = beginText
  }

  /// Replaces every piece's text.
  mutating func rewrite(
    _ body: (
      _ piece: Slice<UnsafeBufferPointer<UInt8>>, _ isFirst: Bool,
      _ result: inout [UInt8]
    ) -> Void
  ) {
    var result: [UInt8] = []
    result.reserveCapacity(bytes.count + bytes.count / 4)
    bytes.withUnsafeBufferPointer { bytes in
      for (index, span) in spans.enumerated() {
        let start = result.count
        body(bytes[span], index == 0 && beginText, &result)
        spans[index] = start..<result.count
      }
    }
    spans.removeAll(where: \.isEmpty)
    bytes = result
  }
}
