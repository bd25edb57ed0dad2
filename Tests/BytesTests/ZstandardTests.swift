import KaratBytes
import KaratTestSupport
import Testing

@Suite struct ZstandardTests {
  @Test(arguments: [Zstandard.Effort.entropy, .level(1), .level(3), .level(12)])
  func whatGoesInComesOut(effort: Zstandard.Effort) throws {
    var numbers = Numbers(seed: 1)
    for count in [0, 1, 2, 255, 256, 257, 70_000, 1 << 20, 3 << 20] {
      let bytes = (0..<count).map { _ in UInt8(numbers.next() & 7) }
      let frame = Zstandard.compress(bytes, effort)
      #expect(try decompressed(frame, count) == bytes)
    }
  }

  @Test func entropyIsCodedWithoutRepetitions() {
    var numbers = Numbers(seed: 2)
    let exponents = numbers.normal(1 << 16).map { UInt8(truncatingIfNeeded: $0.bitPattern >> 23) }
    let frame = Zstandard.compress(exponents, .entropy)
    #expect(frame.count < exponents.count * 2 / 5)
  }

  @Test func compressionSaysWhereThereIsNoRoom() {
    let bytes = [UInt8](0..<200)
    let frame = Zstandard.compress(bytes, .level(3))
    for room in 0...frame.count {
      var target = [UInt8](repeating: 0xa5, count: room + 1)
      let size = target.withUnsafeMutableBytes { target in
        bytes.withUnsafeBytes { Zstandard.compress($0, into: target.part(..<room), .level(3)) }
      }
      #expect(size == nil || size == frame.count && room >= frame.count)
      #expect(target[room] == 0xa5)
    }
  }

  @Test func framesThatWeWriteReferBackOneMebibyteAtMost() throws {
    let bytes = (0..<5 << 20).map { UInt8(truncatingIfNeeded: $0 >> 12) }
    let frame = Zstandard.compress(bytes, .level(3))
    #expect(frame[4] == 0x80, "four bytes of content size, no single segment, no checksum")
    #expect(frame[5] == 10 << 3, "a window of 2^20 bytes")
    #expect(try decompressed(frame, bytes.count) == bytes)
  }

  @Test func aFrameMadeByHandIsRead() throws {
    #expect(try decompressed(frame([1, 2, 3]), 3) == [1, 2, 3])
    // A dictionary's number that says that there is none.
    let undirected = [0x28, 0xb5, 0x2f, 0xfd, 0x21, 0, 3, 3 << 3 | 1, 0, 0, 1, 2, 3] as [UInt8]
    #expect(try decompressed(undirected, 3) == [1, 2, 3])
  }

  @Test func anythingElseThanOneFrameOfThatSizeIsRefused() {
    let good = frame([1, 2, 3])
    #expect(refusal(of: [], 0) == .truncated)
    #expect(refusal(of: [0] + good, 3) == .noFrame)
    #expect(refusal(of: good, 2) == .contentSize(3, needed: 2))
    #expect(refusal(of: good, 4) == .contentSize(3, needed: 4))
    #expect(refusal(of: good + [0], 3) == .trailing(1))
    #expect(refusal(of: good + good, 3) == .trailing(good.count))
    let skippable = [0x5f, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9] as [UInt8]
    #expect(refusal(of: skippable, 0) == .skippableFrame)
    #expect(refusal(of: good + skippable, 3) == .trailing(skippable.count))
    let magic = Array(good[..<4])
    // No content size, and a window of 1 KiB.
    #expect(
      refusal(of: magic + [0, 0, 3 << 3 | 1, 0, 0, 1, 2, 3], 3) == .contentSize(nil, needed: 3)
    )
    // Content sizes of 2, 4 and 8 bytes.
    #expect(refusal(of: magic + [0x60, 1, 1], 3) == .contentSize(513, needed: 3))
    #expect(refusal(of: magic + [0xa0, 1, 1, 0, 1], 3) == .contentSize(16_777_473, needed: 3))
    let greatest = [UInt8](repeating: 0xff, count: 8)
    #expect(refusal(of: magic + [0xe0] + greatest, 3) == .contentSize(.max, needed: 3))
    #expect(refusal(of: magic + [0x21, 7, 3, 3 << 3 | 1, 0, 0, 1, 2, 3], 3) == .dictionary(7))
    #expect(refusal(of: magic + [0x23, 1, 0, 0, 1, 3], 3) == .dictionary(0x0100_0001))
    // Windows of 2^20 + 2^17, 2^21 and 2^41 + 7/8 bytes.
    let size = [3, 0, 0, 0] as [UInt8]
    #expect(refusal(of: magic + [0x80, 10 << 3 | 1] + size, 3) == .window(1_179_648))
    #expect(refusal(of: magic + [0x80, 11 << 3] + size, 3) == .window(2_097_152))
    #expect(refusal(of: magic + [0x80, 0xff] + size, 3) == .window(15 << 38))
    // One segment of 2 MiB.
    #expect(refusal(of: magic + [0xa0, 0, 0, 0x20, 0], 1 << 21) == .window(2_097_152))
  }

  @Test func contentThatIsNotWhatTheHeaderSaysIsRefused() {
    for bytes in [[3, 2 << 3 | 1, 0, 0, 1, 2], [3, 4 << 3 | 1, 0, 0, 1, 2, 3, 4]] as [[UInt8]] {
      switch refusal(of: [0x28, 0xb5, 0x2f, 0xfd, 0x20] + bytes, 3) {
      case .corrupt, .contentSize: break
      case let other: Issue.record("\(String(describing: other))")
      }
    }
  }

  @Test func everyTruncationIsRefusedAndNoFlippedBitIsFatal() {
    var numbers = Numbers(seed: 3)
    let bytes = (0..<700).map { _ in UInt8(numbers.next() & 7) }
    for frame in [Zstandard.compress(bytes, .entropy), Zstandard.compress(bytes, .level(3))] {
      for count in 0..<frame.count {
        #expect(refusal(of: Array(frame[..<count]), bytes.count) != nil)
      }
      for bit in 0..<frame.count * 8 {
        var broken = frame
        broken[bit / 8] ^= 1 << (bit % 8)
        _ = refusal(of: broken, bytes.count)
      }
    }
  }

  @Test func messagesSayWhatIsAndWhatWasNeeded() {
    let messages = [
      ZstandardError.noFrame, .skippableFrame, .truncated, .trailing(2),
      .contentSize(nil, needed: 5), .contentSize(4, needed: 5), .window(2_097_152),
      .dictionary(9), .corrupt("Corrupted block detected"),
    ].map(\.description)
    #expect(
      messages == [
        "the bytes begin with no Zstandard frame",
        "a skippable Zstandard frame stands where data was needed",
        "the Zstandard frame does not end within the bytes",
        "2 bytes follow the Zstandard frame",
        "the Zstandard frame does not say how many bytes it holds; 5 were needed",
        "the Zstandard frame holds 4 bytes; 5 were needed",
        "the Zstandard frame refers back up to 2097152 bytes; at most 1048576 are allowed",
        "the Zstandard frame needs dictionary 9; none is allowed",
        "the Zstandard frame cannot be decoded: Corrupted block detected",
      ]
    )
  }
}

/// A frame with one block that is not compressed.
private func frame(_ content: [UInt8]) -> [UInt8] {
  let count = UInt8(content.count)
  return [0x28, 0xb5, 0x2f, 0xfd, 0x20, count, count << 3 | 1, 0, 0] + content
}

/// The content of a frame, in an array that is checked for bytes beyond it.
private func decompressed(_ frame: [UInt8], _ count: Int) throws(ZstandardError) -> [UInt8] {
  var target = [UInt8](repeating: 0xa5, count: count + 8)
  defer { #expect(target[count...].allSatisfy { $0 == 0xa5 }, "bytes were written beyond") }
  let result = frame.withUnsafeBytes { frame in
    target.withUnsafeMutableBytes { target in
      Result { () throws(ZstandardError) in
        try Zstandard.decompress(frame, into: target.part(..<count))
      }
    }
  }
  try result.get()
  return Array(target[..<count])
}

private func refusal(of frame: [UInt8], _ count: Int) -> ZstandardError? {
  do throws(ZstandardError) {
    _ = try decompressed(frame, count)
    return nil
  } catch {
    return error
  }
}
