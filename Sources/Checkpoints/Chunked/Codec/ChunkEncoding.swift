/// How a chunk's bytes are stored: what is done to them (`filter`), then how they are coded.
///
/// The raw values are KCF's numbers; see `formats/kcf.md`.
package struct ChunkEncoding: Sendable, Hashable {
  /// How the filtered bytes are coded.
  package enum Codec: UInt16, Sendable, Hashable, CaseIterable {
    /// The bytes themselves; no filter.
    case raw = 0
    /// One element of 1, 2, 4 or 8 bytes, of which the chunk is a repetition; no filter.
    case fill = 1
    /// One Zstandard frame; no filter.
    case zstd = 2
    /// The planes of a filter, each as a Zstandard frame or as it is.
    case planes = 3
  }

  /// How a chunk's elements are cut into planes.
  package enum Filter: UInt16, Sendable, Hashable, CaseIterable {
    /// Not at all.
    case none = 0
    /// Elements of 2 bytes: a plane for each byte.
    case bytes2 = 1
    /// Elements of 4 bytes: a plane for each byte.
    case bytes4 = 2
    /// Elements of 8 bytes: a plane for each byte.
    case bytes8 = 3
    /// BF16 and F16: the bits rotated left by one, so that sign and mantissa lie below the exponent,
    /// then a plane for each byte.
    case float2 = 4
    /// F32: rotated, then a plane for each byte.
    case float4 = 5
    /// F64: rotated, then a plane for each byte.
    case float8 = 6
    /// 8-bit floats: rotated, then a plane for each half byte, two elements in a byte of it.
    case float1 = 7
    /// Bytes: a plane for each half byte, two elements in a byte of it.
    case halves = 8
  }

  /// How the filtered bytes are coded.
  package let codec: Codec
  /// How the elements are cut into planes.
  package let filter: Filter

  /// Names a codec and a filter.
  package init(_ codec: Codec, _ filter: Filter = .none) {
    self.codec = codec
    self.filter = filter
  }
}
