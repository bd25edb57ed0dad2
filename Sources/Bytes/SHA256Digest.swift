import Crypto

/// The SHA-256 digest of some bytes.
public struct SHA256Digest: Sendable, Hashable, CustomStringConvertible {
  /// The 32 bytes of the digest.
  public let bytes: [UInt8]

  /// A digest that was read somewhere.
  ///
  /// - Precondition: it has 32 bytes.
  package init(bytes: [UInt8]) {
    precondition(bytes.count == 32)
    self.bytes = bytes
  }

  /// The digest in 64 lower-case hexadecimal digits.
  public var description: String {
    let digits = Array("0123456789abcdef".utf8)
    let text = bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 0xf)]] }
    return String(decoding: text, as: UTF8.self)
  }

  /// Takes in bytes piece by piece.
  public struct Accumulator: Sendable {
    private var function = SHA256()

    /// Makes an accumulator that has taken in nothing.
    public init() {}

    /// Takes in more bytes.
    public mutating func append(_ bytes: UnsafeRawBufferPointer) {
      function.update(bufferPointer: bytes)
    }

    /// The digest of all bytes so far.
    public var digest: SHA256Digest { SHA256Digest(bytes: Array(function.finalize())) }
  }

  /// Digests the content of a file, a few MiB at a time.
  ///
  /// - Throws: `FileError` where it cannot be read.
  public static func file(_ path: String) throws(FileError) -> SHA256Digest {
    let file = try ReadableFile(path)
    var accumulator = Accumulator()
    let window = 1 << 22
    for start in stride(from: 0, to: file.byteCount, by: window) {
      let bytes = try file.bytes(start..<min(start + window, file.byteCount))
      bytes.withUnsafeBytes { accumulator.append($0) }
    }
    return accumulator.digest
  }
}
