/// Why bytes are not the one Zstandard frame that was expected.
package enum ZstandardError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The bytes do not begin with a frame.
  case noFrame
  /// The bytes begin with a frame that decoders skip.
  case skippableFrame
  /// The bytes end within the frame.
  case truncated
  /// More bytes follow the frame.
  case trailing(Int)
  /// The frame does not say how many bytes come out, or says another number.
  case contentSize(UInt64?, needed: Int)
  /// The frame refers further back than we allow.
  case window(UInt64)
  /// The frame needs a dictionary, of this number.
  case dictionary(UInt64)
  /// The library refuses what is in the frame, for this reason.
  case corrupt(String)

  /// What is, and what was needed.
  package var description: String {
    switch self {
    case .noFrame: "the bytes begin with no Zstandard frame"
    case .skippableFrame: "a skippable Zstandard frame stands where data was needed"
    case .truncated: "the Zstandard frame does not end within the bytes"
    case .trailing(let count): "\(count) bytes follow the Zstandard frame"
    case .contentSize(nil, let needed):
      "the Zstandard frame does not say how many bytes it holds; \(needed) were needed"
    case .contentSize(let size?, let needed):
      "the Zstandard frame holds \(size) bytes; \(needed) were needed"
    case .window(let size):
      "the Zstandard frame refers back up to \(size) bytes; at most"
        + " \(1 << Zstandard.largestWindowLog) are allowed"
    case .dictionary(let number):
      "the Zstandard frame needs dictionary \(number); none is allowed"
    case .corrupt(let reason): "the Zstandard frame cannot be decoded: \(reason)"
    }
  }
}
