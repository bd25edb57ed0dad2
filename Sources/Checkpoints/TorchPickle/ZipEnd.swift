import KaratBytes

/// The end records of a zip archive: where its central directory is.
struct ZipEnd {
  let directoryOffset: Int
  let directoryByteCount: Int
  let recordCount: Int

  private static let endByteCount = 22
  private static let locatorByteCount = 20
  private static let end64ByteCount = 56

  /// Reads the records that the file must end with: nothing is searched for.
  init(of file: CheckpointFile) throws(ZipFault) {
    guard file.byteCount >= Self.endByteCount else {
      throw .malformed(
        "it holds \(file.byteCount) bytes; a zip archive ends with a record of"
          + " \(Self.endByteCount). Fetch it again."
      )
    }
    let endOffset = file.byteCount - Self.endByteCount
    let end = try Fields(end: try file.zipBytes(endOffset..<file.byteCount))
    var real = Fields64(
      count: UInt64(end.count),
      byteCount: UInt64(end.byteCount),
      offset: UInt64(end.offset)
    )
    var directoryEnd = endOffset
    let locatorOffset = endOffset - Self.locatorByteCount
    if locatorOffset >= 0 {
      let locator = try file.zipBytes(locatorOffset..<endOffset)
      if locator.starts(with: [0x50, 0x4b, 6, 7]) {
        directoryEnd = locatorOffset - Self.end64ByteCount
        try Self.check(locator: locator, recordOffset: directoryEnd)
        real = try Fields64(record: try file.zipBytes(directoryEnd..<locatorOffset))
      }
    }
    // Each field of the short record repeats the long one's, or is all ones where it cannot.
    guard real.count == end.count || end.count == .max,
      real.byteCount == end.byteCount || end.byteCount == .max,
      real.offset == end.offset || end.offset == .max
    else {
      throw .malformed("its two end records tell of different central directories.")
    }
    let (start, overflow) = UInt64(directoryEnd).subtractingReportingOverflow(real.byteCount)
    guard !overflow, start == real.offset else {
      throw .malformed(
        "its central directory of \(real.byteCount) bytes is to start at byte \(real.offset) and to"
          + " end at byte \(directoryEnd), where the end records start. Something is missing, or"
          + " stands before or behind the archive."
      )
    }
    guard real.byteCount <= UInt64(ZipArchive.largestDirectory) else {
      throw .unsupported(
        "its central directory takes \(real.byteCount) bytes; at most"
          + " \(ZipArchive.largestDirectory) are read."
      )
    }
    guard real.count <= real.byteCount / UInt64(ZipEntry.leastByteCount) else {
      throw .malformed(
        "it tells of \(real.count) records; its central directory of \(real.byteCount) bytes cannot"
          + " hold them."
      )
    }
    directoryOffset = Int(start)
    directoryByteCount = Int(real.byteCount)
    recordCount = Int(real.count)
  }

  /// The short record's fields.
  private struct Fields {
    let count: UInt16
    let byteCount: UInt32
    let offset: UInt32

    init(end bytes: [UInt8]) throws(ZipFault) {
      guard bytes.starts(with: [0x50, 0x4b, 5, 6]) else {
        throw .malformed(
          "it does not end with the end record of a zip archive. It was cut off, or something"
            + " stands behind it; fetch it again."
        )
      }
      (count, byteCount, offset) = try bytes.span.withUnsafeBytes { bytes throws(ZipFault) in
        var cursor = ByteCursor(bytes)
        _ = try cursor.zip(UInt32.self)
        let disks: (UInt16, UInt16) = (try cursor.zip(), try cursor.zip())
        let onThisDisk: UInt16 = try cursor.zip()
        let count: UInt16 = try cursor.zip()
        let byteCount: UInt32 = try cursor.zip()
        let offset: UInt32 = try cursor.zip()
        let comment: UInt16 = try cursor.zip()
        guard disks == (0, 0), onThisDisk == count else {
          throw .unsupported("the archive is spread over several disks.")
        }
        guard comment == 0 else {
          throw .malformed("its end record announces a comment of \(comment) bytes.")
        }
        return (count, byteCount, offset)
      }
    }
  }

  /// The fields of the long record, of ZIP64.
  private struct Fields64 {
    let count: UInt64
    let byteCount: UInt64
    let offset: UInt64

    init(count: UInt64, byteCount: UInt64, offset: UInt64) {
      (self.count, self.byteCount, self.offset) = (count, byteCount, offset)
    }

    init(record bytes: [UInt8]) throws(ZipFault) {
      self = try bytes.span.withUnsafeBytes { bytes throws(ZipFault) in
        var cursor = ByteCursor(bytes)
        let signature: UInt32 = try cursor.zip()
        let size: UInt64 = try cursor.zip()
        guard signature == 0x0606_4b50, size == UInt64(ZipEnd.end64ByteCount - 12) else {
          throw .malformed(
            "its ZIP64 end record is not the \(ZipEnd.end64ByteCount) bytes before the locator."
          )
        }
        _ = try cursor.zip(UInt32.self)  // versions
        let disks: (UInt32, UInt32) = (try cursor.zip(), try cursor.zip())
        let onThisDisk: UInt64 = try cursor.zip()
        let count: UInt64 = try cursor.zip()
        guard disks == (0, 0), onThisDisk == count else {
          throw .unsupported("the archive is spread over several disks.")
        }
        return Fields64(count: count, byteCount: try cursor.zip(), offset: try cursor.zip())
      }
    }
  }

  private static func check(locator bytes: [UInt8], recordOffset: Int) throws(ZipFault) {
    try bytes.span.withUnsafeBytes { bytes throws(ZipFault) in
      var cursor = ByteCursor(bytes)
      _ = try cursor.zip(UInt32.self)
      let disk: UInt32 = try cursor.zip()
      let offset: UInt64 = try cursor.zip()
      let disks: UInt32 = try cursor.zip()
      guard disk == 0, disks == 1 else {
        throw .unsupported("the archive is spread over several disks.")
      }
      guard recordOffset >= 0, offset == UInt64(recordOffset) else {
        throw .malformed(
          "its ZIP64 end record is to start at byte \(offset); its \(ZipEnd.end64ByteCount) bytes"
            + " belong right before the locator at byte \(recordOffset + ZipEnd.end64ByteCount)."
        )
      }
    }
  }
}
