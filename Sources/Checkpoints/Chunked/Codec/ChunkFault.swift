package import KaratBytes

/// Why stored bytes are not what their chunk's entry says.
package enum ChunkFault: Error, Hashable, Sendable, CustomStringConvertible {
  /// The chunk is longer than any may be.
  case length(Int)
  /// The codec and the filter do not go together.
  case encoding(ChunkEncoding)
  /// The stored bytes are more or fewer than the encoding demands.
  case storedLength(Int, raw: Int, ChunkEncoding)
  /// The raw bytes are not whole elements of the filter.
  case elements(raw: Int, width: Int)
  /// The plane's length is 0, or greater than the plane.
  case planeLength(UInt32, plane: Int, size: Int)
  /// A Zstandard frame cannot be decoded.
  case zstandard(ZstandardError)

  /// What is, and what was needed.
  package var description: String {
    switch self {
    case .length(let raw):
      "the chunk has \(raw) bytes; at most \(ChunkCodec.largestChunk) are allowed"
    case .encoding(let encoding):
      "codec \(encoding.codec.rawValue) does not go with filter \(encoding.filter.rawValue)"
    case .storedLength(let stored, let raw, let encoding):
      "\(stored) stored bytes cannot be a chunk of \(raw) bytes under codec"
        + " \(encoding.codec.rawValue), filter \(encoding.filter.rawValue)"
    case .elements(let raw, let width):
      "the chunk has \(raw) bytes; the filter needs a multiple of \(width)"
    case .planeLength(let length, let plane, let size):
      "plane \(plane) is stored in \(length) bytes; 1 to \(size) were needed"
    case .zstandard(let error): error.description
    }
  }
}
