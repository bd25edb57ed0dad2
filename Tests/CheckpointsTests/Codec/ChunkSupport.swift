import KaratBytes
import KaratCheckpoints
import KaratTensors
import KaratTestSupport
import Testing

/// A chunk as it is stored.
struct StoredChunk: Equatable {
  let encoding: ChunkEncoding
  let bytes: [UInt8]

  init(_ encoding: ChunkEncoding, _ bytes: [UInt8]) {
    self.encoding = encoding
    self.bytes = bytes
  }

  /// Encodes a chunk; checks that nothing is written beyond as many bytes as it has.
  init(_ raw: [UInt8], of dtype: DType) {
    var target = [UInt8](repeating: 0xa5, count: raw.count + 8)
    let (encoding, count) = raw.withUnsafeBytes { raw in
      target.withUnsafeMutableBytes { target in
        ChunkCodec.encode(raw, of: dtype, into: target.part(..<raw.count))
      }
    }
    #expect(target[raw.count...].allSatisfy { $0 == 0xa5 }, "bytes were written beyond")
    self.init(encoding, Array(target[..<count]))
  }

  /// Decodes a chunk of so many bytes; checks that nothing is written beyond.
  func decoded(_ count: Int) throws(ChunkFault) -> [UInt8] {
    var target = [UInt8](repeating: 0xa5, count: count + 8)
    defer { #expect(target[count...].allSatisfy { $0 == 0xa5 }, "bytes were written beyond") }
    let result = bytes.withUnsafeBytes { bytes in
      target.withUnsafeMutableBytes { target in
        Result { () throws(ChunkFault) in
          try ChunkCodec.decode(bytes, as: encoding, into: target.part(..<count))
        }
      }
    }
    try result.get()
    return Array(target[..<count])
  }
}

/// Contents with different statistics, `count` bytes of each.
func contents(_ count: Int, seed: UInt64 = 1) -> [String: [UInt8]] {
  var numbers = Numbers(seed: seed)
  let weights = numbers.normal(count / 2 + 1)
  func bytes<T>(_ values: [T]) -> [UInt8] {
    Array(values.withUnsafeBytes { $0.prefix(count) })
  }
  let random = (0..<count / 8 + 1).map { _ in numbers.next() }
  let row = bytes(random).prefix(101)
  return [
    "random": bytes(random),
    "two bits": bytes(random.map { $0 & 0x0303_0303_0303_0303 }),
    "BF16 weights": bytes(weights.map { UInt16($0.bitPattern >> 16) }),
    "F16 weights": bytes(weights.map { Float16($0).bitPattern }),
    "F32 weights": bytes(weights),
    "F64 weights": bytes(weights.map { Double($0) * 1.1 }),
    "codes": bytes(
      weights.flatMap { [Int8(clamping: Int($0 * 30)), Int8(clamping: Int(-$0 * 9))] }
    ),
    "counters": bytes((0..<UInt64(count / 8 + 1)).map(\.littleEndian)),
    "few changes": (0..<count).map { $0.isMultiple(of: 997) ? UInt8($0 & 0xff) : 0 },
    "a repeated row": (0..<count).map { row[$0 % row.count] },
    "zeros": [UInt8](repeating: 0, count: count),
    "ones": (0..<count).map { [0x80, 0x3f][$0 % 2] },
  ]
}
