import KaratBytes

/// What the header right before a record's bytes says.
struct ZipLocalHeader {
  let flags: UInt16
  let method: UInt16
  let nameLength: Int
  let extraLength: Int
  private let checksum: UInt32
  private let stored: UInt32
  private let whole: UInt32

  init(_ bytes: [UInt8], of name: String) throws(ZipFault) {
    self = try bytes.span.withUnsafeBytes { bytes throws(ZipFault) in
      var cursor = ByteCursor(bytes)
      let signature: UInt32 = try cursor.zip()
      guard signature == 0x0403_4b50 else {
        throw .malformed("the record \(name) has no local header where it is to start.")
      }
      _ = try cursor.zip(UInt16.self)  // version
      let flags: UInt16 = try cursor.zip()
      let method: UInt16 = try cursor.zip()
      _ = try cursor.zip(UInt32.self)  // time and date
      return ZipLocalHeader(
        flags: flags,
        method: method,
        checksum: try cursor.zip(),
        stored: try cursor.zip(),
        whole: try cursor.zip(),
        nameLength: Int(try cursor.zip(UInt16.self)),
        extraLength: Int(try cursor.zip(UInt16.self))
      )
    }
  }

  private init(
    flags: UInt16,
    method: UInt16,
    checksum: UInt32,
    stored: UInt32,
    whole: UInt32,
    nameLength: Int,
    extraLength: Int
  ) {
    (self.flags, self.method) = (flags, method)
    (self.checksum, self.stored, self.whole) = (checksum, stored, whole)
    (self.nameLength, self.extraLength) = (nameLength, extraLength)
  }

  /// Whether it leaves size and checksum to the descriptor.
  var isEmpty: Bool { checksum == 0 && stored == 0 && whole == 0 }

  /// Whether it gives the size and checksum that the central directory gives.
  func isSame(as entry: ZipEntry, _ extra: ZipExtra) -> Bool {
    guard checksum == entry.checksum else { return false }
    let size = UInt64(entry.byteCount)
    if stored == .max, whole == .max { return extra.wide == [size, size] }
    return stored == size && whole == size && extra.says(nothingBut: entry)
  }
}
