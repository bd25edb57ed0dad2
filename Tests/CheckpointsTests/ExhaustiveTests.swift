import Foundation
import KaratCheckpoints
import KaratTensors
import Testing

/// Damages a file of each format in every way of a kind: what is read is what the file held, or the
/// error is typed; a trap would end the process.
///
/// `KARAT_LONG=1` tries all; otherwise an even share of the many is tried.
@Suite struct ExhaustiveTests {
  private static let isWhole = ProcessInfo.processInfo.environment["KARAT_LONG"] == "1"

  @Test(arguments: ExhaustiveFormat.all)
  func everyByteWithEveryValue(_ format: ExhaustiveFormat) throws {
    var trial = try Trial(format)
    // A step that shares no factor with 256 meets every place and, in turn, every value.
    for number in stride(from: 0, to: trial.seed.count * 256, by: Self.isWhole ? 1 : 101) {
      let (place, value) = (number / 256, UInt8(number % 256))
      try trial.check(place..<place + 1) { $0[place] = value }
    }
    #expect(trial.count > 4000)
  }

  @Test(arguments: ExhaustiveFormat.all)
  func everyTruncation(_ format: ExhaustiveFormat) throws {
    var trial = try Trial(format)
    for length in 0..<trial.seed.count {
      try trial.check(length..<trial.seed.count) { $0.removeSubrange(length...) }
    }
    // Only the padding behind a GGUF's last tensor may be cut off.
    #expect(trial.acceptedCount < 32)
  }

  @Test(arguments: ExhaustiveFormat.all)
  func everyFieldAtItsBoundaries(_ format: ExhaustiveFormat) throws {
    var trial = try Trial(format)
    let size = UInt64(trial.seed.count)
    let values: [UInt64] = [
      0, 1, 2, 7, 8, 255, 65_535, 100_000_000, 100_000_001, size - 8, size, size + 1,
      1 << 31 - 1, 1 << 31, 1 << 32 - 1, 1 << 32, 1 << 53 + 1, 1 << 61, 1 << 62, 1 << 63 - 1,
      1 << 63, .max - 31, .max - 7, .max,
    ]
    #expect(Set(values).count == 24)
    for number in stride(from: 0, to: (trial.seed.count - 7) * 24, by: Self.isWhole ? 1 : 23) {
      let (place, value) = (number / 24, values[number % 24])
      try trial.check(place..<place + 8) { bytes in
        withUnsafeBytes(of: value.littleEndian) {
          bytes.replaceSubrange(place..<place + 8, with: $0)
        }
      }
    }
  }
}

/// A file that is damaged again and again.
private struct Trial {
  let seed: [UInt8]
  private(set) var count = 0
  private(set) var acceptedCount = 0

  private let format: ExhaustiveFormat
  private let original: [ExhaustiveFormat.Piece]
  /// Where in the file the bytes of each piece lie as they are, if they do.
  private let places: [Range<Int>]

  init(_ format: ExhaustiveFormat) throws {
    self.format = format
    seed = try format.seed()
    original = try format.read(seed)
    places = original.map { [seed] piece in
      guard piece.info != nil, !format.isChecked, !piece.bytes.isEmpty else { return 0..<0 }
      return seed.firstRange(of: piece.bytes) ?? 0..<0
    }
    try #require((1900...7000).contains(seed.count), "\(seed.count) bytes")
    try #require(format.isChecked || !original.isEmpty)
  }

  /// Reads the file with damage in a range of its bytes.
  mutating func check(_ range: Range<Int>, damage: (inout [UInt8]) -> Void) throws {
    var bytes = seed
    damage(&bytes)
    count += 1
    let pieces: [ExhaustiveFormat.Piece]
    do throws(CheckpointError) {
      pieces = try format.read(bytes)
    } catch {
      try #require(error.file == ExhaustiveFormat.path)
      return
    }
    acceptedCount += 1
    if let expected = expected(of: bytes, damagedIn: range), pieces != expected {
      Issue.record("\(format.name): damage in \(range) is read, as something else")
    }
    let size = pieces.reduce(0) { $0 + ($1.info == nil ? 0 : $1.bytes.count) }
    try #require(size <= bytes.count, "\(format.name): more bytes than the file has")
  }

  /// What a damaged file must hold where it is read; nil where the damage is in its header, which
  /// may then describe other tensors.
  private func expected(
    of bytes: [UInt8],
    damagedIn range: Range<Int>
  ) -> [ExhaustiveFormat.Piece]? {
    if format.isChecked || bytes == seed { return original }
    // Without a check, damage within tensors shows in their bytes and nowhere else.
    guard bytes.count == seed.count,
      range.allSatisfy({ place in places.contains { $0.contains(place) } })
    else { return nil }
    return zip(original, places).map { piece, place in
      place.isEmpty ? piece : .init(name: piece.name, info: piece.info, bytes: Array(bytes[place]))
    }
  }
}
