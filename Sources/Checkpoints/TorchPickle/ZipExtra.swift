import KaratBytes

/// The extra fields of a record: 64-bit numbers, and PyTorch's padding.
///
/// Other fields are refused: one of them can give the record a second name.
struct ZipExtra {
  /// The numbers of ZIP64, or nil where there is no such field.
  let wide: [UInt64]?

  private static let zip64: UInt16 = 1
  /// `FB`, with which PyTorch aligns the bytes of records to 64.
  private static let padding: UInt16 = 0x4246

  init(_ bytes: UnsafeRawBufferPointer, of name: String) throws(ZipFault) {
    var cursor = ByteCursor(bytes)
    var wide: [UInt64]?
    var isPadded = false
    while cursor.left > 0 {
      let identifier: UInt16 = try cursor.zip()
      let byteCount: UInt16 = try cursor.zip()
      guard Int(byteCount) <= cursor.left else {
        throw .malformed("an extra field of the record \(name) is longer than all of them.")
      }
      switch identifier {
      case Self.zip64 where wide == nil && byteCount % 8 == 0 && byteCount <= 24:
        var numbers: [UInt64] = []
        for _ in 0..<byteCount / 8 { numbers.append(try cursor.zip()) }
        wide = numbers
      case Self.padding where !isPadded:
        for _ in 0..<byteCount { _ = try cursor.zip(UInt8.self) }
        isPadded = true
      default:
        throw .malformed(
          "the record \(name) has an extra field of type \(identifier) and \(byteCount) bytes; one"
            + " each of 64-bit numbers and padding is allowed."
        )
      }
    }
    self.wide = wide
  }

  /// The sizes and the offset of an entry of the central directory: a field that is all ones there
  /// stands here, in this order, and no other does.
  func central(
    stored: UInt32,
    whole: UInt32,
    offset: UInt32,
    of name: String
  ) throws(ZipFault) -> (stored: UInt64, whole: UInt64, offset: UInt64) {
    var numbers = (wide ?? [])[...]
    func widened(_ short: UInt32) throws(ZipFault) -> UInt64 {
      guard short == .max else { return UInt64(short) }
      guard let number = numbers.popFirst() else {
        throw .malformed("the record \(name) lacks a 64-bit number that its entry announces.")
      }
      return number
    }
    let all = (whole: try widened(whole), stored: try widened(stored), offset: try widened(offset))
    guard numbers.isEmpty else {
      throw .malformed("the record \(name) has a 64-bit number that its entry does not announce.")
    }
    return (all.stored, all.whole, all.offset)
  }

  /// Whether the 64-bit numbers of a local header agree with the central directory.
  ///
  /// PyTorch puts the size here, a zero for the size in the file that it does not know yet, and the
  /// header's own offset, each where it is too large for 32 bits.
  func says(nothingBut entry: ZipEntry) -> Bool {
    (wide ?? []).allSatisfy {
      $0 == 0 || $0 == UInt64(entry.byteCount) || $0 == UInt64(entry.headerOffset)
    }
  }
}
