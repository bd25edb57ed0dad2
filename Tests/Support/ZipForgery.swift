import KaratBytes

/// A zip archive of stored records whose checksums were made right again after something in it was
/// changed, so that readers come to what the records hold.
package struct ZipForgery {
  package private(set) var bytes: [UInt8]

  /// Mends each record that an entry of the central directory describes without contradiction.
  package init(_ bytes: [UInt8]) {
    self.bytes = bytes
    var place = 0
    // An entry has 46 bytes and more; as many are mended as any fixture has.
    for _ in 0..<100 {
      guard let entry = self.bytes[place...].firstRange(of: Self.entrySignature)?.lowerBound,
        entry + 46 <= bytes.count
      else { return }
      mendRecord(of: entry)
      place = entry + 46
    }
  }

  private static let entrySignature = Array("PK\u{1}\u{2}".utf8)
  private static let headerSize = 30

  private mutating func mendRecord(of entry: Int) {
    let byteCount = number(entry + 20, 4)
    let header = number(entry + 42, 4)
    guard header + Self.headerSize <= bytes.count else { return }
    let start = header + Self.headerSize + number(header + 26, 2) + number(header + 28, 2)
    let end = start + byteCount
    // Bit 3: the checksum stands behind the bytes, after a signature, and the header holds zero.
    let isBehind = number(header + 6, 2) & 8 != 0
    guard end + (isBehind ? 8 : 0) <= bytes.count else { return }
    let checksum = CRC32.checksum(Array(bytes[start..<end]))
    for place in [entry + 16, isBehind ? end + 4 : header + 14] {
      for byte in 0..<4 {
        bytes[place + byte] = UInt8(truncatingIfNeeded: checksum >> (8 * UInt32(byte)))
      }
    }
  }

  /// The little-endian number of so many bytes, at most four.
  private func number(_ place: Int, _ count: Int) -> Int {
    bytes[place..<place + count].reversed().reduce(0) { $0 << 8 | Int($1) }
  }
}
