/// GPT-2's way to spell any bytes in printable characters, and the split that goes with it.
///
/// Printable bytes of Latin-1 stand for themselves, the 68 others for U+0100 and on.
struct ByteLevel: Sendable {
  let addsPrefixSpace: Bool
  let split: Split?

  init(addsPrefixSpace: Bool, splitsWords: Bool) {
    self.addsPrefixSpace = addsPrefixSpace
    split = splitsWords ? Split(pattern: Self.words, behavior: .isolated) : nil
  }

  private static let words = TextPattern(
    known: #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#
  )

  func apply(to pieces: inout Pieces) {
    if addsPrefixSpace {
      pieces.rewrite { piece, _, result in
        if piece.first != UInt8(ascii: " ") { result.append(UInt8(ascii: " ")) }
        result += piece
      }
    }
    split?.apply(to: &pieces)
    pieces.rewrite { piece, _, result in Self.append(piece, to: &result) }
  }

  /// The characters that stand for bytes, in UTF-8.
  static func characters(of bytes: some Sequence<UInt8>) -> [UInt8] {
    var result: [UInt8] = []
    append(bytes, to: &result)
    return result
  }

  private static func append(_ bytes: some Sequence<UInt8>, to result: inout [UInt8]) {
    for byte in bytes {
      let scalar = scalars[Int(byte)]
      if scalar < 0x80 {
        result.append(UInt8(truncatingIfNeeded: scalar))
      } else {
        result.append(UInt8(truncatingIfNeeded: 0xc0 | scalar >> 6))
        result.append(UInt8(truncatingIfNeeded: 0x80 | scalar & 0x3f))
      }
    }
  }

  /// The bytes that a token's characters stand for; its own bytes if it holds any other character.
  static func bytes(of token: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    result.reserveCapacity(token.count)
    for scalar in token.scalars {
      guard scalar.value < bytes.count, bytes[Int(scalar.value)] >= 0 else { return token }
      result.append(UInt8(truncatingIfNeeded: bytes[Int(scalar.value)]))
    }
    return result
  }

  private static let scalars: [UInt16] = {
    var next: UInt16 = 0x100
    return (UInt16(0)..<256).map { byte in
      switch byte {
      case 0x21...0x7e, 0xa1...0xac, 0xae...0xff: return byte
      default:
        defer { next += 1 }
        return next
      }
    }
  }()

  /// By scalar the byte, or -1.
  private static let bytes: [Int16] = {
    var bytes = [Int16](repeating: -1, count: 0x144)
    for (byte, scalar) in scalars.enumerated() { bytes[Int(scalar)] = Int16(byte) }
    return bytes
  }()
}
