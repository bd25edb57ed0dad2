import KaratBytes
import KaratTensors

/// What a GGUF file says before its tensors' bytes, read and checked.
///
/// The rules, and where we are stricter than llama.cpp, are in `formats/gguf.md`.
struct GGUFHeader {
  private(set) var metadata = GGUFMetadata()
  private(set) var manifest = Manifest()
  /// Where the bytes of each tensor start in the file.
  private(set) var offsets: [TensorName: Int] = [:]

  /// The longest header that is read, in bytes; a vocabulary of a million tokens needs 50 MB.
  static let largestByteCount = 1 << 30

  /// Reads and checks the header of a file.
  ///
  /// How long it is, is nowhere said: a window at the file's start is made wider until it fits.
  init(of file: CheckpointFile) throws(CheckpointError) {
    var window = min(1 << 20, file.byteCount)
    while true {
      let start = try file.bytes(0..<window)
      do throws(GGUFParser.Fault) {
        self = try start.span.withUnsafeBytes { bytes throws(GGUFParser.Fault) in
          try GGUFHeader(parsing: bytes, fileByteCount: file.byteCount)
        }
        return
      } catch {
        guard error.isTruncation, window < file.byteCount else {
          throw CheckpointError(
            error.kind,
            file: file.path,
            tensor: error.tensor,
            error.message
          )
        }
        guard window < Self.largestByteCount else {
          throw CheckpointError(
            .unsupported,
            file: file.path,
            "its header is longer than \(Self.largestByteCount) bytes, the most that is read."
          )
        }
        window = min(window * 4, file.byteCount, Self.largestByteCount)
      }
    }
  }

  private init(
    parsing bytes: UnsafeRawBufferPointer,
    fileByteCount: Int
  ) throws(GGUFParser.Fault) {
    var parser = GGUFParser(bytes, fileByteCount: fileByteCount)
    let counts = try parser.counts()
    for _ in 0..<counts.values {
      let (key, value) = try parser.keyAndValue()
      guard metadata.append(key, value) else {
        throw .malformed("the key \(TensorName(key).quoted) is there twice.")
      }
    }
    let alignment = try alignment()

    var end: UInt64 = 0
    var places: [(name: TensorName, offset: UInt64)] = []
    for _ in 0..<counts.tensors {
      let entry = try parser.tensorEntry()
      guard entry.offset == end else {
        throw .malformed(
          "its bytes start at \(entry.offset); those of the tensors before it, filled up to"
            + " \(alignment), end at \(end).",
          tensor: entry.name
        )
      }
      guard manifest.set(entry.name, entry.info), let byteCount = entry.info.byteCount else {
        throw .malformed("there are two tensors of this name.", tensor: entry.name)
      }
      places.append((entry.name, end))
      end = try Self.padded(end, UInt64(byteCount), to: alignment, for: entry.name)
    }
    try place(places, behind: parser.offset, alignment: alignment, end: end, fileByteCount)
  }

  /// Checks that the tensors lie in the file and fill it, and notes where.
  private mutating func place(
    _ places: [(name: TensorName, offset: UInt64)],
    behind header: Int,
    alignment: UInt64,
    end: UInt64,
    _ fileByteCount: Int
  ) throws(GGUFParser.Fault) {
    let dataStart = UInt64(header) + (alignment - UInt64(header) % alignment) % alignment
    let fileEnd = UInt64(fileByteCount)
    for (name, offset) in places {
      let byteCount = UInt64(manifest[name]?.byteCount ?? 0)
      // No overflow: each sum was taken, with padding on top, when the offsets were checked.
      let (last, overflow) = dataStart.addingReportingOverflow(offset + byteCount)
      guard !overflow, last <= fileEnd else {
        throw .malformed(
          "its \(byteCount) bytes end behind the file's end at byte \(fileByteCount). It was cut"
            + " off; fetch it again.",
          tensor: name
        )
      }
      offsets[name] = Int(dataStart + offset)
    }
    // The last tensor's padding may be there or not; anything more belongs to nothing.
    guard fileEnd <= max(dataStart, UInt64(header)) + end else {
      throw .malformed(
        "the tensors end at byte \(dataStart + end); the file goes on to byte \(fileByteCount)."
      )
    }
  }

  private func alignment() throws(GGUFParser.Fault) -> UInt64 {
    guard let value = metadata["general.alignment"] else { return 32 }
    guard let alignment = Self.alignment(value) else {
      throw .malformed(
        "general.alignment is \(value); a power of two from 8 on was needed, as uint32."
      )
    }
    return alignment
  }

  /// The value of `general.alignment`, or nil where it may not be that.
  static func alignment(_ value: GGUFValue) -> UInt64? {
    guard case .uint32(let alignment) = value, alignment % 8 == 0, alignment.nonzeroBitCount == 1
    else { return nil }
    return UInt64(alignment)
  }

  private static func padded(
    _ start: UInt64,
    _ byteCount: UInt64,
    to alignment: UInt64,
    for name: TensorName
  ) throws(GGUFParser.Fault) -> UInt64 {
    let (end, overflow) = start.addingReportingOverflow(byteCount)
    let (padded, overflowPadded) = end.addingReportingOverflow(
      (alignment - end % alignment) % alignment
    )
    guard !overflow, !overflowPadded else {
      throw .malformed("the tensors up to this one hold more than 2^64 bytes.", tensor: name)
    }
    return padded
  }
}
