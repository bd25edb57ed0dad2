import KaratBytes
import KaratTensors

/// The 128 bytes that end a generation; section 5 of `formats/kcf.md`.
struct ChunkedTrailer: Hashable {
  static let mark: [UInt8] = Array("KCFEND\r\n".utf8)
  static let byteCount = 128

  /// Where it is in the file.
  var offset: Int
  /// Which generation it commits, from 1 on.
  var generation: Int
  /// Where the previous generation's trailer is, or nil where there is none.
  var previous: Int?
  /// How many bytes the index before it has.
  var indexByteCount: Int
  /// SHA-256 of the index.
  var indexDigest: [UInt8]
  /// The model root.
  var root: [UInt8]

  /// Where the index is.
  var indexRange: Range<Int> { offset - indexByteCount..<offset }
  /// Where the generation's own records begin.
  var sectionStart: Int { previous.map { $0 + Self.byteCount } ?? ChunkedHead.byteCount }

  /// The trailer as it is in the file.
  var bytes: [UInt8] {
    var bytes = Self.mark
    for number in [offset, generation, previous ?? 0, indexByteCount, 0] {
      bytes.append(littleEndian: UInt64(number))
    }
    bytes += indexDigest + root
    bytes.pad(to: 124)
    bytes.append(littleEndian: CRC32C.checksum(bytes))
    return bytes
  }
}

extension ChunkedTrailer {
  /// Whether bytes at an offset are a trailer by mark, checksum and offset.
  static func isPlausible(_ bytes: ArraySlice<UInt8>, at offset: Int) -> Bool {
    guard bytes.starts(with: mark), bytes.count == byteCount else { return false }
    let bytes = Array(bytes)
    let (place, checksum) = bytes.withUnsafeBytes { bytes in
      (
        UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)),
        UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 124, as: UInt32.self))
      )
    }
    return place == UInt64(offset) && checksum == CRC32C.checksum(Array(bytes[..<124]))
  }

  /// Reads and checks the trailer at an offset.
  ///
  /// - Parameters:
  ///   - bytes: its 128 bytes.
  ///   - offset: where they are.
  ///   - path: the file, for messages.
  /// - Throws: `CheckpointError` where they break a rule.
  init(_ bytes: [UInt8], at offset: Int, of path: String) throws(CheckpointError) {
    func malformed(_ message: String) -> CheckpointError {
      CheckpointError(.malformed, file: path, "the trailer at byte \(offset): \(message)")
    }
    guard Self.isPlausible(bytes[...], at: offset) else {
      throw malformed("mark, checksum or offset are wrong. The file is damaged; fetch it again.")
    }
    let numbers = bytes.withUnsafeBytes { bytes in
      stride(from: 8, to: 48, by: 8).map {
        UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: $0, as: UInt64.self))
      }
    }
    guard numbers[4] == 0, bytes[112..<124].allSatisfy({ $0 == 0 }) else {
      throw malformed("its reserved bytes are not all zero.")
    }
    guard let generation = Int(exactly: numbers[1]), generation >= 1 else {
      throw malformed("it tells of generation \(numbers[1]); generations count from 1.")
    }
    guard (generation == 1) == (numbers[2] == 0) else {
      throw malformed(
        "generation \(generation) tells of a previous trailer at byte \(numbers[2]); only the first"
          + " has none."
      )
    }
    let previous = Int(exactly: numbers[2]) ?? .max
    let (previousEnd, overflow) = previous.addingReportingOverflow(Self.byteCount)
    guard previous == 0 || previous >= ChunkedHead.byteCount, previous % 64 == 0, !overflow,
      previousEnd <= offset
    else {
      throw malformed("it tells of a previous trailer at byte \(numbers[2]), which cannot be.")
    }
    let start = previous == 0 ? ChunkedHead.byteCount : previousEnd
    guard let length = Int(exactly: numbers[3]), length % ChunkedFormat.alignment == 0,
      length >= ChunkedIndex.headByteCount, length <= offset - start
    else {
      throw malformed(
        "it tells of an index of \(numbers[3]) bytes; \(offset - start) bytes are before it."
      )
    }
    guard length <= ChunkedFormat.largestIndex else {
      throw malformed(
        "it tells of an index of \(length) bytes; at most \(ChunkedFormat.largestIndex) are allowed."
      )
    }
    self.offset = offset
    self.generation = generation
    self.previous = previous == 0 ? nil : previous
    indexByteCount = length
    indexDigest = Array(bytes[48..<80])
    root = Array(bytes[80..<112])
  }
}
