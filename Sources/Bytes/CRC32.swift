import CKernels

/// The cyclic redundancy check CRC-32 of zip archives, Ethernet and PNG.
///
/// Polynomial 0x04C11DB7, bits reflected, all ones before and inverted after. What `CRC32C` says of
/// its worth holds here too.
package struct CRC32: Sendable, Hashable {
  /// The checksum of all bytes so far; 0 where there were none.
  package private(set) var value: UInt32 = 0

  /// Makes a checksum of no bytes.
  package init() {}

  /// Takes in more bytes.
  package mutating func append(_ bytes: UnsafeRawBufferPointer) {
    guard let start = bytes.baseAddress else { return }
    value = karat_crc32(value, start, bytes.count)
  }

  /// The checksum of the bytes of an array.
  package static func checksum(_ bytes: [UInt8]) -> UInt32 {
    var checksum = CRC32()
    bytes.withUnsafeBytes { checksum.append($0) }
    return checksum.value
  }
}
