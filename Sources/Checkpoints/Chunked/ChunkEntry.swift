import KaratBytes
import KaratTensors

/// How one chunk is stored, and where: an entry of an index, or the header of a record; sections 3
/// and 5 of `formats/kcf.md`.
struct ChunkEntry: Hashable, Sendable {
  static let byteCount = 64
  /// The mark of a record.
  static let mark: [UInt8] = Array("KCHK".utf8)
  private static let noBase = UInt32.max

  /// A chunk of the base that a difference is from.
  struct Base: Hashable, Sendable {
    /// The position among the base's tensors, sorted by the bytes of their names.
    var tensor: UInt32
    /// Which of the tensor's chunks.
    var chunk: UInt32
  }

  /// Where the record begins.
  var offset: Int
  /// How many bytes are stored.
  var storedByteCount: Int
  /// How many bytes the chunk has.
  var byteCount: Int
  /// How they are stored.
  var encoding: ChunkEncoding
  /// What the chunk is stored as a difference from, or nil.
  var base: Base?
  /// The leaf digest of the chunk's bytes.
  var digest: SHA256Digest

  /// The bytes of the record: header, stored bytes and padding.
  var recordByteCount: Int {
    (Self.byteCount + storedByteCount + ChunkedFormat.alignment - 1)
      & ~(ChunkedFormat.alignment - 1)
  }
  /// Where the record ends.
  var end: Int { offset + recordByteCount }

  /// Bytes 8..<64 of entry and header.
  var description: [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(Self.byteCount)
    bytes.append(littleEndian: UInt32(storedByteCount))
    bytes.append(littleEndian: UInt32(byteCount))
    bytes.append(littleEndian: encoding.codec.rawValue)
    bytes.append(littleEndian: encoding.filter.rawValue)
    bytes.append(littleEndian: base?.tensor ?? Self.noBase)
    bytes.append(littleEndian: base?.chunk ?? 0)
    bytes.append(littleEndian: 0 as UInt32)
    return bytes + digest.bytes
  }

  /// The entry as it is in an index.
  var indexBytes: [UInt8] {
    var bytes: [UInt8] = []
    bytes.append(littleEndian: UInt64(offset))
    return bytes + description
  }

  /// The header of the record of these stored bytes.
  func header(of stored: UnsafeRawBufferPointer) -> [UInt8] {
    let description = description
    var checksum = CRC32C()
    description.withUnsafeBytes { checksum.append($0) }
    checksum.append(stored)
    var bytes = Self.mark
    bytes.append(littleEndian: checksum.value)
    return bytes + description
  }
}

extension ChunkEntry {
  /// Why 64 bytes are no entry.
  struct Fault: Error {
    let message: String
  }

  /// Reads and checks an entry, or the header of a record at a known offset.
  ///
  /// - Parameters:
  ///   - bytes: 64 bytes, of which the first 8 are not looked at.
  ///   - offset: where the record begins.
  /// - Throws: `Fault` where they are no entry.
  init(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(Fault) {
    func word(_ place: Int) -> UInt32 {
      UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: place, as: UInt32.self))
    }
    func half(_ place: Int) -> UInt16 {
      UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: place, as: UInt16.self))
    }
    let (stored, raw) = (word(8), word(12))
    guard raw >= 1, raw <= UInt32(ChunkedFormat.chunkSize) else {
      throw Fault(message: "it has \(raw) bytes; 1 to \(ChunkedFormat.chunkSize) are allowed.")
    }
    guard stored >= 1, stored <= raw else {
      throw Fault(message: "its \(raw) bytes are stored in \(stored); 1 to \(raw) are allowed.")
    }
    guard let codec = ChunkEncoding.Codec(rawValue: half(16)) else {
      throw Fault(message: "its codec has the unknown number \(half(16)).")
    }
    guard let filter = ChunkEncoding.Filter(rawValue: half(18)) else {
      throw Fault(message: "its filter has the unknown number \(half(18)).")
    }
    guard (codec == .planes) == (filter != .none) else {
      throw Fault(
        message: "its codec \(codec.rawValue) does not go with its filter \(filter.rawValue)."
      )
    }
    let base =
      word(20) == Self.noBase ? nil : Base(tensor: word(20), chunk: word(24))
    guard base != nil || word(24) == 0 else {
      throw Fault(message: "it has a base chunk, \(word(24)), and no base tensor.")
    }
    guard word(28) == 0 else { throw Fault(message: "its reserved bytes are not zero.") }
    self.offset = offset
    storedByteCount = Int(stored)
    byteCount = Int(raw)
    encoding = ChunkEncoding(codec, filter)
    self.base = base
    digest = SHA256Digest(bytes: Array(bytes[32..<64]))
  }
}
