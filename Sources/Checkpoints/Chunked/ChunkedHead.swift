import KaratBytes
import KaratTensors

/// The first 64 bytes of a KCF file; section 2 of `formats/kcf.md`.
struct ChunkedHead {
  /// What every KCF file starts with.
  static let mark: [UInt8] = [0x89, 0x4b, 0x43, 0x46, 0x0d, 0x0a, 0x1a, 0x0a]
  static let byteCount = 64
  static let version: UInt16 = 1

  /// The features without which nothing may be appended, as bits; we know none.
  let appendFeatures: UInt32

  /// The head that we write.
  static let bytes: [UInt8] = {
    var bytes = mark
    bytes.append(littleEndian: version)
    bytes.append(littleEndian: 0 as UInt16)
    bytes.pad(to: 20)
    bytes += parameters
    bytes.pad(to: 60)
    bytes.append(littleEndian: CRC32C.checksum(bytes))
    return bytes
  }()

  /// The logarithms of chunk size and alignment, the checksum and the digest.
  private static let parameters: [UInt8] = [20, 6, 1, 1]

  /// Reads and checks a head.
  init(_ bytes: [UInt8], of path: String) throws(CheckpointError) {
    func malformed(_ message: String) -> CheckpointError {
      CheckpointError(.malformed, file: path, message)
    }
    guard bytes.starts(with: Self.mark) else {
      throw malformed("it does not start with the mark of KCF.")
    }
    let numbers = bytes.withUnsafeBytes { bytes in
      (
        major: UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt16.self)),
        needed: UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 12, as: UInt32.self)),
        append: UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 16, as: UInt32.self)),
        checksum: UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 60, as: UInt32.self))
      )
    }
    guard numbers.checksum == CRC32C.checksum(Array(bytes[..<60])) else {
      throw malformed("the checksum of the head is wrong. The file is damaged; fetch it again.")
    }
    guard numbers.major == Self.version else {
      throw CheckpointError(
        .unsupported,
        file: path,
        "it is of KCF version \(numbers.major); version \(Self.version) is read."
      )
    }
    guard numbers.needed == 0 else {
      throw CheckpointError(
        .unsupported,
        file: path,
        "it needs the features \(String(numbers.needed, radix: 2)) (bits); none are known. A newer"
          + " Karat may read it."
      )
    }
    guard bytes[20..<24].elementsEqual(Self.parameters) else {
      throw malformed(
        "chunk size, alignment, checksum and digest are \(Array(bytes[20..<24])); KCF 1 has"
          + " \(Self.parameters)."
      )
    }
    guard bytes[24..<60].allSatisfy({ $0 == 0 }) else {
      throw malformed("bytes 24..<60 of the head are not all zero.")
    }
    appendFeatures = numbers.append
  }
}
