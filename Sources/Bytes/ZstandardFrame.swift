/// What the header of a Zstandard frame says (RFC 8878, section 3.1.1).
struct ZstandardFrame {
  /// How many bytes come out, or nil where the header does not say.
  let contentSize: UInt64?
  /// How far back the frame may refer, in bytes.
  let windowSize: UInt64
  /// Which dictionary decompression needs; 0: none.
  let dictionary: UInt64

  private static let magic: UInt64 = 0xFD2F_B528
  private static let skippableMagics: ClosedRange<UInt64> = 0x184D_2A50...0x184D_2A5F

  /// Reads the header at the beginning of some bytes.
  init(_ bytes: UnsafeRawBufferPointer) throws(ZstandardError) {
    var cursor = ByteCursor(bytes)
    let magic = try Self.number(4, &cursor)
    if Self.skippableMagics.contains(magic) { throw .skippableFrame }
    guard magic == Self.magic else { throw .noFrame }
    let descriptor = try Self.number(1, &cursor)
    let isSingleSegment = descriptor & 0x20 != 0
    let window = isSingleSegment ? nil : try Self.number(1, &cursor)
    dictionary = try Self.number([0, 1, 2, 4][Int(descriptor & 3)], &cursor)
    switch descriptor >> 6 {
    case 0: contentSize = isSingleSegment ? try Self.number(1, &cursor) : nil
    case 1: contentSize = try Self.number(2, &cursor) + 256
    case 2: contentSize = try Self.number(4, &cursor)
    default: contentSize = try Self.number(8, &cursor)
    }
    if let window {
      let base: UInt64 = 1 << (10 + window >> 3)
      windowSize = base + base / 8 * (window & 7)
    } else {
      windowSize = contentSize ?? 0
    }
  }

  /// Reads a little-endian number of 0 to 8 bytes.
  private static func number(
    _ size: UInt64,
    _ cursor: inout ByteCursor
  ) throws(ZstandardError) -> UInt64 {
    do {
      return try cursor.run(size).reversed().reduce(0) { $0 << 8 | UInt64($1) }
    } catch {
      throw .truncated
    }
  }
}
