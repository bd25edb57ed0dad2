import KaratCheckpoints
import KaratTensors
import KaratTestSupport
import Testing

@Suite struct ChunkCodecTests {
  @Test func whatGoesInComesOut() throws {
    var numbers = Numbers(seed: 1)
    for dtype in DType.allCases {
      for size in [0, 1, 2, 3, 8, 63, 64, 1000, 4093, 1 << 16, 1 << 20] {
        let raw = (0..<size).map { _ in UInt8(numbers.next() & 3) }
        var stored = [UInt8](repeating: 0, count: size)
        let (encoding, count) = raw.withUnsafeBytes { raw in
          stored.withUnsafeMutableBytes { ChunkCodec.encode(raw, of: dtype, into: $0) }
        }
        var back = [UInt8](repeating: 0, count: size)
        try stored.prefix(count).withUnsafeBytes { stored in
          try back.withUnsafeMutableBytes { try ChunkCodec.decode(stored, as: encoding, into: $0) }
        }
        #expect(back == raw)
      }
    }
  }
}
