import KaratBytes
import KaratCheckpoints
import KaratTensors
import KaratTestSupport
import Testing

/// Damage of every kind is found when a file is read.
@Suite struct ChunkedDamageTests {
  /// A file of 256 KiB with several codecs, filters, attachments and generations, of which most is
  /// one chunk: its checksum finds a flip before anything is decoded.
  private func quarterMebibyte() throws -> [UInt8] {
    var numbers = Numbers(seed: 21)
    var bytes: [UInt8] = []
    let small = MemorySource(
      [
        "bf16": Tensor(
          .bf16,
          [800],
          copying: (0..<800).map { _ in UInt16(0x3c00) + UInt16(numbers.next() % 512) }
        ),
        "fill": Tensor([Float](repeating: 1, count: 100)),
        "zero": Tensor([] as [Float], shape: [0]),
      ],
      metadata: ["format": "pt"]
    )
    try inTemporaryFolder { folder in
      let path = folder + "/model.kcf"
      try ChunkedWriter().write(small, attachments: ["config.json": [123, 125]], to: path)
      let first = try read(path).count
      // What the second generation takes besides the bytes of its tensor.
      func append(_ count: Int) throws -> Int {
        try write(Array(try read(path)[..<first]), to: path)
        let noise = (0..<count).map { _ in UInt8(truncatingIfNeeded: numbers.next()) }
        try ChunkedWriter().append(
          MemorySource(["large": Tensor(.u8, [count], copying: noise)]),
          to: path
        )
        return try read(path).count
      }
      let rest = try append(64) - 64
      #expect(try append(262_144 - rest) == 262_144)
      bytes = try read(path)
      _ = try append(64)
    }
    return bytes
  }

  /// Whether a full reading finds nothing wrong.
  private func passes(_ bytes: [UInt8]) -> Bool {
    do throws(CheckpointError) {
      var reader = try ChunkedReader(CheckpointFile(bytes, named: "damaged.kcf"))
      reader.threads = 1
      try reader.verify()
      return true
    } catch {
      return false
    }
  }

  @Test func theVerifiedRootIsThatOfTheBytes() throws {
    let bytes = try read(fixture("kcf/example.kcf"))
    let sound = try reader(bytes)
    #expect(try sound.verifiedRoot() == ContentRoot.of(sound, threads: 1))
    // Behind the head, 64 bytes, and the header of the only record, as many.
    var damaged = bytes
    damaged[128] ^= 1
    let unsound = try reader(damaged)
    #expect(throws: CheckpointError.self) { try unsound.verifiedRoot() }
    #expect(throws: CheckpointError.self) { try unsound.tensor("a") }
  }

  @Test func everyFlippedBitIsFound() throws {
    var bytes = try quarterMebibyte()
    try #require(passes(bytes))
    // All 2,097,152 in the long run; by default each 29th of the small parts and each 4,099th of the
    // large one.
    let step = runsLong ? 1 : 4099
    var undetected: [Int] = []
    let large = 16_384 * 8..<(bytes.count - 4096) * 8
    for bit in 0..<bytes.count * 8
    where !large.contains(bit) ? (runsLong || bit % 29 == 0) : bit % step == 0 {
      bytes[bit / 8] ^= 1 << UInt8(bit % 8)
      if passes(bytes) { undetected.append(bit) }
      bytes[bit / 8] ^= 1 << UInt8(bit % 8)
    }
    #expect(undetected.isEmpty)
    #expect(passes(bytes))
  }

  @Test func randomBurstsAreFound() throws {
    var bytes = try quarterMebibyte()
    var numbers = Numbers(seed: 22)
    var undetected = 0
    for _ in 0..<(runsLong ? 1_000_000 : 3_000) {
      // Of up to 4096 bytes, more of the short ones; never nothing.
      let length = 1 + Int(numbers.next() % (1 << (numbers.next() % 13)))
      let start = Int(numbers.next() % UInt64(bytes.count - length + 1))
      let before = Array(bytes[start..<start + length])
      for place in start..<start + length {
        bytes[place] = UInt8(truncatingIfNeeded: numbers.next())
      }
      if bytes[start..<start + length].elementsEqual(before) { bytes[start] ^= 1 }
      if passes(bytes) { undetected += 1 }
      bytes.replaceSubrange(start..<start + length, with: before)
    }
    #expect(undetected == 0)
    #expect(passes(bytes))
  }

  /// Files of at most 4 KiB, of which every variant is read.
  private static let seeds = ["example.kcf", "generations.kcf"]

  @Test(arguments: seeds)
  func everyTruncationIsRefusedOrAnEarlierCommit(_ name: String) throws {
    let seed = try read(fixture("kcf/" + name))
    var commits: [Int] = []
    for length in 0..<seed.count {
      let bytes = Array(seed[..<length])
      if passes(bytes) { commits.append(length) }
      #expect((try? SlowReader(bytes)) == nil || commits.last == length)
      if let reader = try? ChunkedReader(
        CheckpointFile(bytes, named: "cut.kcf"),
        recovery: .lastCommit
      ) {
        let end = length - reader.uncommittedByteCount
        #expect(end == commits.last)
      }
    }
    // Where an earlier generation ends, the file is what it was then.
    #expect(commits.count == (name == "generations.kcf" ? 2 : 0))
  }

  @Test(arguments: seeds)
  func everyByteSetToEveryValueIsFound(_ name: String) throws {
    var bytes = try read(fixture("kcf/" + name))
    #expect(passes(bytes))
    for place in bytes.indices {
      let before = bytes[place]
      for value in 0...UInt8.max
      where value != before && (runsLong || value % 32 == UInt8(place % 32)) {
        bytes[place] = value
        #expect(!passes(bytes), "byte \(place) as \(value)")
      }
      bytes[place] = before
    }
  }

  /// Checksums and digests hide what lies behind them: here they are made right again.
  @Test(arguments: seeds)
  func neverTrapsOnConsistentLies(_ name: String) throws {
    let seed = try read(fixture("kcf/" + name))
    let values: [UInt64] = [
      0, 1, 2, 63, 64, 1 << 16, 1 << 20, (1 << 20) + 1, 1 << 31, 1 << 32, 1 << 62, 1 << 63,
      .max - 63, .max,
    ]
    for place in 0...(seed.count - 8) where place % (runsLong ? 1 : 13) == 0 {
      for value in values {
        for width in [2, 4, 8] {
          var bytes = seed
          for byte in 0..<width {
            bytes[place + byte] = UInt8(truncatingIfNeeded: value >> (8 * byte))
          }
          guard bytes != seed, let forged = ChunkedForgery(bytes) else { continue }
          // The two readers agree on what is a KCF. (Features are bits that both know none of.)
          let isRead = passes(forged.bytes)
          #expect(isRead == ((try? SlowReader(forged.bytes)) != nil), "byte \(place): \(value)")
        }
      }
    }
  }
}
