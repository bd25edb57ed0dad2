import CKernels

/// The cyclic redundancy check CRC-32C of Castagnoli, as iSCSI, ext4 and Btrfs use it.
///
/// Polynomial 0x1EDC6F41, bits reflected, all ones before and inverted after. It finds every burst
/// of at most 32 bits; it is no protection against someone who wants to deceive.
package struct CRC32C: Sendable, Hashable {
  /// The checksum of all bytes so far; 0 where there were none.
  package private(set) var value: UInt32 = 0

  /// Makes a checksum of no bytes.
  package init() {}

  /// Takes in more bytes.
  package mutating func append(_ bytes: UnsafeRawBufferPointer) {
    guard let start = bytes.baseAddress else { return }
    value = karat_active().pointee.crc32c(value, start, bytes.count)
  }

  /// The checksum of some bytes.
  package static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    var checksum = CRC32C()
    checksum.append(bytes)
    return checksum.value
  }

  /// The checksum of the bytes of an array.
  package static func checksum(_ bytes: [UInt8]) -> UInt32 {
    bytes.withUnsafeBytes { checksum($0) }
  }
}
