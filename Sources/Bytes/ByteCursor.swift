/// Reads little-endian numbers and runs of bytes from memory, one behind the other, checked.
package struct ByteCursor {
  /// The bytes end before what was to be read.
  package struct Truncation: Error, Hashable, Sendable {
    /// Where the reading started.
    package let offset: Int
    /// How many bytes were to be read.
    package let needed: UInt64
  }

  /// The offset of the next byte.
  package private(set) var offset = 0
  /// How many bytes are left.
  package var left: Int { bytes.count - offset }

  private let bytes: UnsafeRawBufferPointer

  /// Makes a cursor at the start of bytes, which must live as long as it is used.
  package init(_ bytes: UnsafeRawBufferPointer) {
    self.bytes = bytes
  }

  /// Reads a whole number.
  package mutating func integer<T: FixedWidthInteger & BitwiseCopyable>(
    _ type: T.Type = T.self
  ) throws(Truncation) -> T {
    let size = MemoryLayout<T>.size
    guard size <= left else { throw Truncation(offset: offset, needed: UInt64(size)) }
    defer { offset += size }
    return T(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: T.self))
  }

  /// Reads a run of bytes; they live as long as what the cursor was made from.
  package mutating func run(_ count: UInt64) throws(Truncation) -> UnsafeRawBufferPointer {
    guard let size = Int(exactly: count), size <= left else {
      throw Truncation(offset: offset, needed: count)
    }
    defer { offset += size }
    return UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + size])
  }
}
