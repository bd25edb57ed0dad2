import Foundation
import KaratBytes
import KaratCheckpoints
import KaratTensors
import KaratTestSupport
import Testing

@Suite struct ChunkCodecTests {
  @Test func whatGoesInComesOutForAllTypesAndSizes() throws {
    var encodings: Set<ChunkEncoding> = []
    for count in [0, 1, 2, 3, 7, 8, 255, 256, 257, 4093, 4096, 65_536, 99_991] {
      for (kind, raw) in contents(count) {
        for dtype in DType.allCases {
          let stored = StoredChunk(raw, of: dtype)
          encodings.insert(stored.encoding)
          let isSame = try stored.decoded(count) == raw
          #expect(isSame, "\(count) bytes of \(kind) as \(dtype.rawValue)")
        }
      }
    }
    #expect(Set(encodings.map(\.codec)) == Set(ChunkEncoding.Codec.allCases))
    #expect(Set(encodings.map(\.filter)) == Set(ChunkEncoding.Filter.allCases))
  }

  /// 100,000 chunks where KARAT_LONG is set, else 20,000.
  @Test func randomChunksComeOut() throws {
    let isLong = ProcessInfo.processInfo.environment["KARAT_LONG"] != nil
    var numbers = Numbers(seed: 5)
    let all = contents(1 << 16, seed: 6).sorted { $0.key < $1.key }.map(\.value)
    for round in 0..<(isLong ? 100_000 : 20_000) {
      // Few long ones: sizes are even on a logarithmic scale.
      let count = Int(exp2(Double.random(in: 0..<15, using: &numbers)))
      let content = all[Int.random(in: all.indices, using: &numbers)]
      let start = Int.random(in: 0...content.count - count, using: &numbers)
      let other = all[Int.random(in: all.indices, using: &numbers)]
      let cut = Int.random(in: 0...count, using: &numbers)
      let raw = Array(content[start..<start + cut] + other[start + cut..<start + count])
      let dtype = DType.allCases[Int.random(in: DType.allCases.indices, using: &numbers)]
      let isSame = try StoredChunk(raw, of: dtype).decoded(count) == raw
      #expect(isSame, "round \(round): \(count) bytes as \(dtype.rawValue)")
    }
  }

  @Test func theLargestChunksComeOut() throws {
    for count in [ChunkCodec.largestChunk - 1, ChunkCodec.largestChunk] {
      for (kind, raw) in contents(count) {
        for dtype in [DType.bf16, .f32, .f64, .f8E4M3, .i8, .u8] {
          let isSame = try StoredChunk(raw, of: dtype).decoded(count) == raw
          #expect(isSame, "\(count) bytes of \(kind) as \(dtype.rawValue)")
        }
      }
    }
  }

  /// Every number, infinity and NaN with its payload.
  @Test(arguments: [DType.bf16, .f16])
  func all65536PatternsComeOut(dtype: DType) throws {
    let ascending = (0...UInt16.max).map { $0 }
    var numbers = Numbers(seed: 1)
    for patterns in [ascending, ascending.shuffled(using: &numbers)] {
      let raw = patterns.withUnsafeBytes { Array($0) }
      #expect(try StoredChunk(raw, of: dtype).decoded(raw.count) == raw)
    }
    let raw = ascending.withUnsafeBytes { Array($0) }
    #expect(StoredChunk(raw, of: dtype).encoding == ChunkEncoding(.planes, .float2))
  }

  @Test(arguments: [DType.f8E4M3, .f8E5M2, .f8E4M3FNUZ, .f8E5M2FNUZ, .f8E8M0, .i8, .u8])
  func all256PatternsComeOut(dtype: DType) throws {
    var numbers = Numbers(seed: 1)
    let raw = (0..<256).flatMap { [UInt8](repeating: UInt8($0), count: 8) }
    for raw in [raw, raw.shuffled(using: &numbers)] {
      #expect(try StoredChunk(raw, of: dtype).decoded(raw.count) == raw)
    }
  }

  @Test func randomBytesAreStoredAsTheyAre() {
    for count in [1, 9, 100, 300, 5000, 1 << 20] {
      let raw = contents(count, seed: 3)["random"] ?? []
      for dtype in DType.allCases where count > 1 {
        #expect(StoredChunk(raw, of: dtype) == StoredChunk(ChunkEncoding(.raw), raw))
      }
    }
  }

  @Test func constantsAreStoredOnce() {
    for (element, count) in [([7], 1001), ([0x80, 0x3f], 768), ([0, 0, 0x80, 0x3f], 1 << 20)] {
      let raw = (0..<count).map { UInt8(element[$0 % element.count]) }
      let stored = StoredChunk(raw, of: .f32)
      #expect(stored == StoredChunk(ChunkEncoding(.fill), element.map { UInt8($0) }))
    }
    let counter = [UInt8](1...8)
    #expect(StoredChunk(counter + counter, of: .i64) == StoredChunk(ChunkEncoding(.fill), counter))
  }

  /// Bounds of what real weights gave, with room: a normal distribution is close to them.
  @Test func weightsShrinkAsFarAsTheirExponentsDo() {
    let contents = contents(1 << 20)
    func ratio(_ kind: String, _ dtype: DType) -> Double {
      Double(StoredChunk(contents[kind] ?? [], of: dtype).bytes.count) / Double(1 << 20)
    }
    #expect(ratio("BF16 weights", .bf16) < 0.68)
    #expect(ratio("F16 weights", .f16) < 0.86)
    #expect(ratio("F32 weights", .f32) < 0.84)
    #expect(ratio("codes", .i8) < 0.92)
  }

  @Test func differencesOfSimilarWeightsShrinkFarther() throws {
    let base = contents(1 << 18)["BF16 weights"] ?? []
    var tuned = base
    for index in stride(from: 0, to: tuned.count, by: 50) { tuned[index] ^= 1 }
    var difference = tuned
    difference.withUnsafeMutableBytes { difference in
      base.withUnsafeBytes { exclusiveOr(difference, with: $0) }
    }
    let stored = StoredChunk(difference, of: .bf16)
    #expect(stored.bytes.count < base.count / 16)
    var back = try stored.decoded(base.count)
    back.withUnsafeMutableBytes { back in base.withUnsafeBytes { exclusiveOr(back, with: $0) } }
    #expect(back == tuned)
  }

  @Test func storedBytesDependOnNothingElse() {
    let all = contents(200_000).values.flatMap { raw in
      [DType.bf16, .f32, .f8E4M3, .i8, .u8].map { (raw, $0) }
    }
    let expected = all.map { StoredChunk($0, of: $1) }
    concurrently(4 * all.count, threads: 4) { index in
      // In another order on each thread, so that work memory held something else before.
      let place = index * 7 % all.count
      #expect(StoredChunk(all[place].0, of: all[place].1) == expected[place])
    }
  }
}
