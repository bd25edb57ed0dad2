import KaratBytes
import KaratCheckpoints
import KaratTensors
import KaratTestSupport
import Testing

@Suite struct ChunkDecodingTests {
  /// Chunks put together by hand from the format's description: the planes' lengths, a plane of
  /// equal bytes as a frame, and the others as they are.
  @Test func planesGoWhereTheFormatSays() throws {
    for filter in ChunkEncoding.Filter.allCases where filter != .none {
      let layout = Layout(filter)
      for framed in 0..<layout.planes {
        let (stored, planes) = chunk(layout, framed: framed)
        let expected = (0..<layout.elements).flatMap { layout.element($0, of: planes) }
        let found = try StoredChunk(ChunkEncoding(.planes, filter), stored)
          .decoded(layout.planes * planeSize)
        #expect(found == expected, "\(filter), plane \(framed)")
      }
    }
  }

  @Test func storedBytesThatCannotBeTheChunkAreRefused() {
    let planes = ChunkEncoding(.planes, .bytes2)
    let (good, _) = chunk(Layout(.bytes2), framed: 0)
    func lengths(_ first: UInt32, _ second: UInt32) -> [UInt8] {
      [first, second].flatMap { withUnsafeBytes(of: $0.littleEndian, Array.init) }
    }
    #expect(
      refusal(ChunkEncoding(.raw), [1, 2], 3) == "2 stored bytes cannot be a chunk of 3 bytes"
        + " under codec 0, filter 0"
    )
    #expect(
      refusal(ChunkEncoding(.fill), [1, 2, 3], 9) == "3 stored bytes cannot be a chunk of 9"
        + " bytes under codec 1, filter 0"
    )
    #expect(
      refusal(ChunkEncoding(.fill), [1, 2], 3) == "2 stored bytes cannot be a chunk of 3"
        + " bytes under codec 1, filter 0"
    )
    #expect(
      refusal(ChunkEncoding(.fill), [], 0) == "0 stored bytes cannot be a chunk of 0 bytes"
        + " under codec 1, filter 0"
    )
    #expect(
      refusal(ChunkEncoding(.zstd), [1, 2, 3], 2) == "3 stored bytes cannot be a chunk of 2"
        + " bytes under codec 2, filter 0"
    )
    #expect(
      refusal(ChunkEncoding(.zstd), [1, 2, 3, 4], 9) == "the bytes begin with no Zstandard"
        + " frame"
    )
    #expect(
      refusal(ChunkEncoding(.raw, .bytes2), [1, 2], 2) == "codec 0 does not go with filter 1"
    )
    #expect(
      refusal(ChunkEncoding(.zstd, .halves), good, 128) == "codec 2 does not go with filter 8"
    )
    #expect(refusal(ChunkEncoding(.planes), good, 128) == "codec 3 does not go with filter 0")
    #expect(
      refusal(planes, good, 129) == "the chunk has 129 bytes; the filter needs a multiple of"
        + " 2"
    )
    #expect(
      refusal(planes, [1, 2, 3], 128) == "3 stored bytes cannot be a chunk of 128 bytes under"
        + " codec 3, filter 1"
    )
    #expect(
      refusal(planes, good + [0], 128) == "83 stored bytes cannot be a chunk of 128 bytes"
        + " under codec 3, filter 1"
    )
    #expect(
      refusal(planes, lengths(0, 64) + good[8...], 128) == "plane 0 is stored in 0 bytes; 1"
        + " to 64 were needed"
    )
    #expect(
      refusal(planes, lengths(10, 65) + good[8...], 128) == "plane 1 is stored in 65 bytes; 1"
        + " to 64 were needed"
    )
    #expect(
      refusal(planes, lengths(.max, 64) + good[8...], 128) == "plane 0 is stored in"
        + " 4294967295 bytes; 1 to 64 were needed"
    )
    #expect(
      refusal(planes, lengths(11, 64) + good[8...], 128) == "82 stored bytes cannot be a"
        + " chunk of 128 bytes under codec 3, filter 1"
    )
    #expect(
      refusal(planes, lengths(11, 63) + good[8...], 128) == "1 bytes follow the Zstandard"
        + " frame"
    )
    #expect(
      refusal(ChunkEncoding(.raw), [], 1 << 20 + 1) == "the chunk has 1048577 bytes; at most"
        + " 1048576 are allowed"
    )
  }

  /// Whatever is stored, decoding ends with an error, or with bytes within the chunk; the helpers
  /// look for bytes beyond.
  @Test func noTruncationAndNoFlippedBitIsFatal() throws {
    let all = contents(600)
    for (kind, dtype) in [
      ("BF16 weights", DType.bf16), ("F32 weights", .f32), ("codes", .i8), ("codes", .f8E4M3),
      ("two bits", .u8), ("few changes", .f64), ("counters", .i64), ("ones", .bf16),
      ("random", .u8),
    ] {
      let raw = all[kind] ?? []
      let stored = StoredChunk(raw, of: dtype)
      for count in 0..<stored.bytes.count {
        let cut = StoredChunk(stored.encoding, Array(stored.bytes[..<count]))
        // A shorter element of a constant is still one.
        if stored.encoding.codec != .fill {
          #expect(throws: ChunkFault.self) { try cut.decoded(600) }
        }
      }
      for bit in 0..<stored.bytes.count * 8 {
        var bytes = stored.bytes
        bytes[bit / 8] ^= 1 << (bit % 8)
        _ = try? StoredChunk(stored.encoding, bytes).decoded(600)
      }
      for codec in ChunkEncoding.Codec.allCases {
        for filter in ChunkEncoding.Filter.allCases {
          for count in [0, 1, 2, 8, 24, 599, 600, 608, 1200] {
            _ = try? StoredChunk(ChunkEncoding(codec, filter), stored.bytes).decoded(count)
          }
        }
      }
    }
  }
}

private let planeSize = 64

/// A filter as the format describes it.
private struct Layout {
  let width: Int
  let isRotated: Bool
  var planes: Int { max(width, 2) }
  var elements: Int { planes * planeSize / width }

  init(_ filter: ChunkEncoding.Filter) {
    (width, isRotated) =
      switch filter {
      case .none: (0, false)
      case .bytes2: (2, false)
      case .bytes4: (4, false)
      case .bytes8: (8, false)
      case .float2: (2, true)
      case .float4: (4, true)
      case .float8: (8, true)
      case .float1: (1, true)
      case .halves: (1, false)
      }
  }

  /// The bytes of an element, from the planes' bytes.
  func element(_ index: Int, of planes: [[UInt8]]) -> [UInt8] {
    var bits: UInt64 = 0
    if width == 1 {
      for (plane, bytes) in planes.enumerated() {
        bits |= UInt64(bytes[index / 2] >> (index % 2 * 4) & 15) << (4 * plane)
      }
    } else {
      for (plane, bytes) in planes.enumerated() { bits |= UInt64(bytes[index]) << (8 * plane) }
    }
    if isRotated { bits = bits >> 1 | (bits & 1) << (8 * width - 1) }
    return (0..<width).map { UInt8(bits >> (8 * $0) & 0xff) }
  }
}

/// A stored chunk of which one plane is a frame of one repeated byte, and its planes.
private func chunk(_ layout: Layout, framed: Int) -> (stored: [UInt8], planes: [[UInt8]]) {
  var numbers = Numbers(seed: UInt64(framed))
  var planes = (0..<layout.planes).map { _ in
    (0..<planeSize).map { _ in UInt8(numbers.next() & 0xff) }
  }
  planes[framed] = [UInt8](repeating: 0xb1, count: planeSize)
  // One segment of 64 bytes; its last block repeats a byte 64 times.
  let block = UInt16(planeSize) << 3 | 1 << 1 | 1
  let frame =
    [0x28, 0xb5, 0x2f, 0xfd, 0x20, UInt8(planeSize)]
    + [UInt8(block & 0xff), UInt8(block >> 8), 0, 0xb1]
  var runs = planes
  runs[framed] = frame
  let lengths = runs.flatMap { withUnsafeBytes(of: UInt32($0.count).littleEndian, Array.init) }
  return (lengths + runs.flatMap(\.self), planes)
}

private func refusal(_ encoding: ChunkEncoding, _ stored: [UInt8], _ count: Int) -> String? {
  do throws(ChunkFault) {
    _ = try StoredChunk(encoding, stored).decoded(count)
    return nil
  } catch {
    return error.description
  }
}
