import KaratBytes

/// A KCF whose checksums and digests were made right again after something in it was changed, so that
/// readers come to what lies behind them.
package struct ChunkedForgery {
  package private(set) var bytes: [UInt8]

  /// Mends a file, from its last trailer backwards; nil where it has none.
  ///
  /// Digests of chunks are left as they are, for nobody can know what they were to be.
  package init?(_ bytes: [UInt8]) {
    self.bytes = bytes
    guard bytes.count >= 256 else { return nil }
    checksum(over: 0..<60, at: 60)
    var end = bytes.count
    // As many generations as the golden files have.
    for _ in 0..<4 {
      let trailer = end - 128
      guard trailer >= 64 else { return }
      let length = number(trailer + 32..<trailer + 40)
      if length >= 64, length <= UInt64(trailer - 64) {
        let index = trailer - Int(length)..<trailer
        mendRecords(of: index)
        self.bytes.replaceSubrange(
          trailer + 48..<trailer + 80,
          with: digest(of: index)
        )
      }
      checksum(over: trailer..<trailer + 124, at: trailer + 124)
      let previous = number(trailer + 24..<trailer + 32)
      guard previous >= 64, previous < UInt64(trailer) else { break }
      end = Int(previous) + 128
    }
  }

  /// Gives each record the header that its entry says, and its checksum.
  private mutating func mendRecords(of index: Range<Int>) {
    let count = min(number(index.lowerBound + 32..<index.lowerBound + 40), 1000)
    for entry in stride(from: index.lowerBound + 64, to: index.upperBound - 63, by: 64)
      .prefix(Int(count))
    {
      let offset = number(entry..<entry + 8)
      let stored = number(entry + 8..<entry + 12)
      let end = UInt64(index.lowerBound)
      guard offset >= 64, offset % 64 == 0, offset <= end - 64, stored <= end - 64 - offset
      else { continue }
      let record = Int(offset)
      bytes.replaceSubrange(record + 8..<record + 64, with: bytes[entry + 8..<entry + 64])
      checksum(over: record + 8..<record + 64 + Int(stored), at: record + 4)
    }
  }

  private mutating func checksum(over range: Range<Int>, at place: Int) {
    let checksum = bytes.withUnsafeBytes {
      CRC32C.checksum(UnsafeRawBufferPointer(rebasing: $0[range]))
    }
    for byte in 0..<4 {
      bytes[place + byte] = UInt8(truncatingIfNeeded: checksum >> (8 * UInt32(byte)))
    }
  }

  private func digest(of range: Range<Int>) -> [UInt8] {
    var accumulator = SHA256Digest.Accumulator()
    bytes.withUnsafeBytes { accumulator.append(UnsafeRawBufferPointer(rebasing: $0[range])) }
    return accumulator.digest.bytes
  }

  /// The little-endian number in some bytes, at most eight.
  private func number(_ range: Range<Int>) -> UInt64 {
    bytes[range].reversed().reduce(0) { $0 << 8 | UInt64($1) }
  }
}
