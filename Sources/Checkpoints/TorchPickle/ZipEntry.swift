import KaratBytes
import KaratTensors

/// What the central directory says about a record.
struct ZipEntry {
  let name: String
  let headerOffset: Int
  let byteCount: Int
  let checksum: UInt32
  private let flags: UInt16

  /// The bytes of an entry of the central directory without its name and extra fields.
  static let leastByteCount = 46
  private static let localByteCount = 30
  /// A descriptor stands behind the bytes, instead of a local header that is complete.
  private static let hasDescriptor: UInt16 = 1 << 3
  private static let nameIsUTF8: UInt16 = 1 << 11

  /// The name as it stands in messages.
  var quotedName: String { TensorName(name).quoted }

  /// Reads the central directory.
  static func all(of file: CheckpointFile, _ end: ZipEnd) throws(ZipFault) -> [ZipEntry] {
    let bytes = try file.zipBytes(
      end.directoryOffset..<end.directoryOffset + end.directoryByteCount
    )
    return try bytes.span.withUnsafeBytes { bytes throws(ZipFault) in
      var cursor = ByteCursor(bytes)
      var entries: [ZipEntry] = []
      entries.reserveCapacity(end.recordCount)
      for _ in 0..<end.recordCount {
        entries.append(try ZipEntry(&cursor, directoryOffset: end.directoryOffset))
      }
      guard cursor.left == 0 else {
        throw .malformed(
          "its central directory goes on for \(cursor.left) bytes behind the \(end.recordCount)"
            + " records that it tells of."
        )
      }
      return entries
    }
  }

  private init(_ cursor: inout ByteCursor, directoryOffset: Int) throws(ZipFault) {
    let start = directoryOffset + cursor.offset
    let signature: UInt32 = try cursor.zip()
    guard signature == 0x0201_4b50 else {
      throw .malformed("at byte \(start) an entry of the central directory was needed.")
    }
    _ = try cursor.zip(UInt32.self)  // versions
    let flags: UInt16 = try cursor.zip()
    let method: UInt16 = try cursor.zip()
    _ = try cursor.zip(UInt32.self)  // time and date
    checksum = try cursor.zip()
    let stored: UInt32 = try cursor.zip()
    let whole: UInt32 = try cursor.zip()
    let nameLength: UInt16 = try cursor.zip()
    let extraLength: UInt16 = try cursor.zip()
    let commentLength: UInt16 = try cursor.zip()
    let disk: UInt16 = try cursor.zip()
    _ = try cursor.zip(UInt16.self)  // internal attributes
    _ = try cursor.zip(UInt32.self)  // external attributes
    let offset: UInt32 = try cursor.zip()
    let name = try Self.name(try Self.run(nameLength, &cursor), at: start)
    let quoted = TensorName(name).quoted
    guard disk == 0 else { throw .unsupported("the record \(quoted) is on another disk, \(disk).") }
    guard commentLength == 0 else {
      throw .malformed("the record \(quoted) has a comment of \(commentLength) bytes.")
    }
    guard flags & 1 == 0, flags & 1 << 6 == 0, flags & 1 << 13 == 0 else {
      throw .unsupported("the record \(quoted) is encrypted.")
    }
    guard flags & ~(Self.hasDescriptor | Self.nameIsUTF8) == 0 else {
      throw .unsupported("the record \(quoted) has the flags \(flags), which are not read.")
    }
    guard method == 0 else {
      throw .unsupported(
        "the record \(quoted) is compressed by method \(method); PyTorch stores records as they are."
          + " Save it again with torch.save."
      )
    }
    let extra = try ZipExtra(try Self.run(extraLength, &cursor), of: quoted)
    let wide = try extra.central(stored: stored, whole: whole, offset: offset, of: quoted)
    guard wide.stored == wide.whole else {
      throw .malformed(
        "the record \(quoted) takes \(wide.stored) bytes for \(wide.whole); uncompressed, these are"
          + " one number."
      )
    }
    guard let headerOffset = Int(exactly: wide.offset), headerOffset <= directoryOffset,
      let byteCount = Int(exactly: wide.whole), byteCount <= directoryOffset - headerOffset
    else {
      throw .malformed(
        "the \(wide.whole) bytes of the record \(quoted) from byte \(wide.offset) on do not lie"
          + " before the central directory at byte \(directoryOffset)."
      )
    }
    self.name = name
    self.headerOffset = headerOffset
    self.byteCount = byteCount
    self.flags = flags
  }

  /// Checks that the local header and the descriptor say what the central directory says.
  ///
  /// - Parameters:
  ///   - file: the archive.
  ///   - cursor: where the record before it ends.
  ///   - limit: where the central directory starts.
  /// - Returns: where the bytes start, and where the record ends with all that belongs to it.
  /// - Throws: what is wrong.
  func dataOffset(
    in file: CheckpointFile,
    at cursor: Int,
    below limit: Int
  ) throws(ZipFault) -> (data: Int, end: Int) {
    guard headerOffset == cursor else {
      throw .malformed(
        "the record \(quotedName) starts at byte \(headerOffset); what is before it ends at byte"
          + " \(cursor). Records may neither overlap nor leave gaps."
      )
    }
    func checked(_ count: Int, from start: Int) throws(ZipFault) -> Int {
      guard start <= limit, count <= limit - start else {
        throw .malformed(
          "the record \(quotedName) runs into the central directory at byte \(limit)."
        )
      }
      return start + count
    }
    let fixedEnd = try checked(Self.localByteCount, from: headerOffset)
    let local = try ZipLocalHeader(try file.zipBytes(headerOffset..<fixedEnd), of: quotedName)
    let nameEnd = try checked(local.nameLength, from: fixedEnd)
    let dataStart = try checked(local.extraLength, from: nameEnd)
    let text = try file.zipBytes(fixedEnd..<dataStart)
    guard text[..<local.nameLength].elementsEqual(name.utf8) else {
      throw .malformed("the record \(quotedName) has another name in its local header.")
    }
    guard local.flags == flags, local.method == 0 else {
      throw .malformed("the record \(quotedName) has other flags or another method in its header.")
    }
    let extra = try text.span.extracting(local.nameLength...).withUnsafeBytes {
      bytes throws(ZipFault) in try ZipExtra(bytes, of: quotedName)
    }
    let dataEnd = try checked(byteCount, from: dataStart)
    guard flags & Self.hasDescriptor != 0 else {
      guard local.isSame(as: self, extra) else {
        throw .malformed("the record \(quotedName) has another size or checksum in its header.")
      }
      return (dataStart, dataEnd)
    }
    guard local.isEmpty || local.isSame(as: self, extra), extra.says(nothingBut: self) else {
      throw .malformed("the record \(quotedName) has another size or checksum in its header.")
    }
    // The descriptor is long where PyTorch put 64-bit numbers into the header.
    let end = try checked(extra.wide == nil ? 16 : 24, from: dataEnd)
    try check(descriptor: try file.zipBytes(dataEnd..<end))
    return (dataStart, end)
  }

  private func check(descriptor bytes: [UInt8]) throws(ZipFault) {
    let isSame = try bytes.span.withUnsafeBytes { bytes throws(ZipFault) in
      var cursor = ByteCursor(bytes)
      let signature: UInt32 = try cursor.zip()
      let checksum: UInt32 = try cursor.zip()
      let sizes: (UInt64, UInt64) =
        bytes.count == 16
        ? (UInt64(try cursor.zip(UInt32.self)), UInt64(try cursor.zip(UInt32.self)))
        : (try cursor.zip(), try cursor.zip())
      return signature == 0x0807_4b50 && checksum == self.checksum
        && sizes == (UInt64(byteCount), UInt64(byteCount))
    }
    guard isSame else {
      throw .malformed(
        "the record \(quotedName) has no descriptor behind it that repeats its size and checksum."
      )
    }
  }

  private static func run(
    _ count: UInt16,
    _ cursor: inout ByteCursor
  ) throws(ZipFault) -> UnsafeRawBufferPointer {
    do throws(ByteCursor.Truncation) {
      return try cursor.run(UInt64(count))
    } catch {
      throw .malformed("the central directory is cut off within an entry.")
    }
  }

  /// A name that leads nowhere but into the archive's folder.
  private static func name(
    _ bytes: UnsafeRawBufferPointer,
    at offset: Int
  ) throws(ZipFault) -> String {
    guard let name = String(validating: bytes, as: UTF8.self) else {
      throw .malformed("the name of the entry at byte \(offset) is not UTF-8.")
    }
    let parts = name.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
    let isPlain = parts.allSatisfy { part in
      !part.isEmpty && !part.elementsEqual(".".utf8) && !part.elementsEqual("..".utf8)
        && !part.contains { $0 < 0x20 || $0 == 0x7f || $0 == UInt8(ascii: "\\") }
    }
    guard isPlain else {
      throw .malformed(
        "the record \(TensorName(name).quoted) has a name that is no plain path; folders, '..',"
          + " backslashes and control characters are not allowed."
      )
    }
    return name
  }
}
