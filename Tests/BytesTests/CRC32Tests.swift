import KaratBytes
import KaratTestSupport
import Testing

@Suite struct CRC32Tests {
  /// The check value of the CRC catalogues, and what zlib gives for the rest.
  @Test func givesThePublishedValues() {
    #expect(CRC32.checksum([]) == 0)
    #expect(CRC32.checksum(Array("123456789".utf8)) == 0xCBF4_3926)
    #expect(CRC32.checksum([UInt8](repeating: 0, count: 32)) == 0x190A_55AD)
    #expect(CRC32.checksum([UInt8](repeating: 0xff, count: 32)) == 0xFF6C_AB0B)
    #expect(CRC32.checksum((0..<32).map { UInt8($0) }) == 0x9126_7E8A)
  }

  @Test func isTheSameInPieces() {
    let bytes = (0..<1000).map { UInt8(truncatingIfNeeded: $0 * $0 >> 3) }
    let whole = CRC32.checksum(bytes)
    for cut in [0, 1, 7, 8, 9, 500, 999, 1000] {
      var checksum = CRC32()
      for piece in [bytes[..<cut], bytes[cut...]] {
        Array(piece).withUnsafeBytes { checksum.append($0) }
      }
      #expect(checksum.value == whole)
    }
  }
}
