import Foundation
import KaratBytes
import KaratTensors

/// The numbers of KCF, Karat's chunked checkpoint format; `formats/kcf.md` says why they are so.
enum ChunkedFormat {
  /// The bytes of a chunk; the last of a tensor may be shorter.
  static let chunkSize = ContentRoot.leafSize
  /// Everything in a file begins at a multiple of this.
  static let alignment = 64
  /// The longest index.
  static let largestIndex = 1 << 30
  /// The most tensors of an index.
  static let mostTensors = 1 << 24
  /// The most attachments of an index.
  static let mostAttachments = 1 << 16
  /// The most pairs of metadata of an index.
  static let mostPairs = 1 << 20
  /// The longest name of a tensor, in bytes.
  static let longestName = 65_535
  /// The highest rank of a tensor.
  static let highestRank = 32
  /// How many bases may stand one behind the other.
  static let deepestBase = 4

  /// How many threads encode and decode unless told: one for each core in use.
  static var threads: Int { max(1, ProcessInfo.processInfo.activeProcessorCount) }

  /// The next multiple of the alignment, or nil where it is not below 2⁶³.
  static func aligned(_ count: Int) -> Int? {
    let (sum, overflow) = count.addingReportingOverflow(alignment - 1)
    return overflow ? nil : sum & ~(alignment - 1)
  }

  /// How many chunks so many bytes are cut into.
  static func chunkCount(_ byteCount: Int) -> Int { ContentRoot.leafCount(ofTensor: byteCount) }

  /// Which of so many bytes are in a chunk.
  static func bytes(ofChunk chunk: Int, of byteCount: Int) -> Range<Int> {
    chunk * chunkSize..<min(chunk * chunkSize + chunkSize, byteCount)
  }

  /// Whether all bytes are zero.
  static func isZero(_ bytes: UnsafeRawBufferPointer) -> Bool { bytes.allSatisfy { $0 == 0 } }
}

/// The numbers by which KCF calls element types.
enum ChunkedTypeCode {
  private static let plain = [
    "BOOL", "F4", "F6_E2M3", "F6_E3M2", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ",
    "F8_E5M2FNUZ", "I16", "U16", "F16", "BF16", "I32", "U32", "F32", "C64", "F64", "I64", "U64",
  ]
  private static let blocks = [
    2: "Q4_0", 3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 8: "Q8_0", 9: "Q8_1", 10: "Q2_K", 11: "Q3_K",
    12: "Q4_K", 13: "Q5_K", 14: "Q6_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS",
    19: "IQ1_S", 20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 29: "IQ1_M", 34: "TQ1_0",
    35: "TQ2_0", 39: "MXFP4", 40: "NVFP4",
  ]
  // By name: of GGUF's types, Karat may know more or fewer.
  private static let names = Dictionary(
    uniqueKeysWithValues: zip(1..., plain).map { (UInt16($0), $1) }
      + blocks.map { (UInt16(256 + $0.key), $0.value) }
  )
  private static let codes = Dictionary(
    uniqueKeysWithValues: names.compactMap { code, name in DType(rawValue: name).map { ($0, code) }
    }
  )
  private static let types = Dictionary(uniqueKeysWithValues: codes.map { ($1, $0) })

  /// The number of a type, or nil where KCF has none for it.
  static func code(of dtype: DType) -> UInt16? { codes[dtype] }

  /// The type that a number stands for, or nil where Karat knows none.
  static func dtype(of code: UInt16) -> DType? { types[code] }

  /// The name of a type by its number, where it is one that Karat does not know.
  static func name(of code: UInt16) -> String? { names[code] }
}

extension [UInt8] {
  /// Appends a whole number, the lowest byte first.
  mutating func append(littleEndian number: some FixedWidthInteger) {
    Swift.withUnsafeBytes(of: number.littleEndian) { append(contentsOf: $0) }
  }

  /// Appends zeros up to a length.
  mutating func pad(to count: Int) {
    append(contentsOf: repeatElement(0, count: Swift.max(count - self.count, 0)))
  }
}
