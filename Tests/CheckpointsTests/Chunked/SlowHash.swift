import KaratBytes

/// Checksums and roots as sections 2 and 6 of `formats/kcf.md` define them.
enum SlowHash {
  private static let table: [UInt32] = (0..<256).map { byte in
    (0..<8).reduce(UInt32(byte)) { bits, _ in bits & 1 == 1 ? bits >> 1 ^ 0x82f6_3b78 : bits >> 1 }
  }

  static func crc32c(_ bytes: [UInt8]) -> UInt32 {
    ~bytes.reduce(UInt32.max) { $0 >> 8 ^ table[Int(UInt8(truncatingIfNeeded: $0) ^ $1)] }
  }

  static func sha256(_ bytes: [UInt8]) -> [UInt8] {
    var accumulator = SHA256Digest.Accumulator()
    bytes.withUnsafeBytes { accumulator.append($0) }
    return accumulator.digest.bytes
  }

  static func leaf(_ content: [UInt8]) -> [UInt8] { sha256([0] + content) }

  static func root(_ leaves: [[UInt8]]) -> [UInt8] {
    if leaves.isEmpty { return sha256([]) }
    if leaves.count == 1 { return leaves[0] }
    var left = 1
    while left * 2 < leaves.count { left *= 2 }
    return sha256([1] + root(Array(leaves[..<left])) + root(Array(leaves[left...])))
  }
}
