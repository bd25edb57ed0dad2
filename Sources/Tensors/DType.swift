/// The element type of a tensor: the 22 of safetensors and the block types of GGUF.
///
/// A type is described by the smallest run of elements that fills whole bytes, its `Block`:
/// one element for ordinary types, two for `f4`, four for the 6-bit floats, 32 to 256 for GGUF's
/// quantized blocks, which carry their scales inside.
public enum DType: String, Sendable, Hashable, CaseIterable, Codable {
  case bool = "BOOL"
  case f4 = "F4"
  case f6E2M3 = "F6_E2M3"
  case f6E3M2 = "F6_E3M2"
  case u8 = "U8"
  case i8 = "I8"
  case f8E5M2 = "F8_E5M2"
  case f8E4M3 = "F8_E4M3"
  case f8E8M0 = "F8_E8M0"
  case f8E4M3FNUZ = "F8_E4M3FNUZ"
  case f8E5M2FNUZ = "F8_E5M2FNUZ"
  case i16 = "I16"
  case u16 = "U16"
  case f16 = "F16"
  case bf16 = "BF16"
  case i32 = "I32"
  case u32 = "U32"
  case f32 = "F32"
  case c64 = "C64"
  case f64 = "F64"
  case i64 = "I64"
  case u64 = "U64"

  case q4_0 = "Q4_0"
  case q4_1 = "Q4_1"
  case q5_0 = "Q5_0"
  case q5_1 = "Q5_1"
  case q8_0 = "Q8_0"
  case q4K = "Q4_K"
  case q5K = "Q5_K"
  case q6K = "Q6_K"
  case q2K = "Q2_K"
  case q3K = "Q3_K"
  case iq1S = "IQ1_S"
  case iq1M = "IQ1_M"
  case iq2XXS = "IQ2_XXS"
  case iq2XS = "IQ2_XS"
  case iq2S = "IQ2_S"
  case iq3XXS = "IQ3_XXS"
  case iq3S = "IQ3_S"
  case iq4NL = "IQ4_NL"
  case iq4XS = "IQ4_XS"
  case tq1_0 = "TQ1_0"
  case tq2_0 = "TQ2_0"
  case mxfp4 = "MXFP4"
  case nvfp4 = "NVFP4"
}

extension DType {
  /// The smallest run of elements that fills whole bytes.
  public struct Block: Sendable, Hashable {
    /// How many elements the run holds.
    public let elements: Int
    /// How many bytes they take.
    public let bytes: Int
  }

  /// The smallest run of elements of this type that fills whole bytes.
  public var block: Block {
    switch self {
    case .f4: Block(elements: 2, bytes: 1)
    case .f6E2M3, .f6E3M2: Block(elements: 4, bytes: 3)
    case .bool, .u8, .i8, .f8E5M2, .f8E4M3, .f8E8M0, .f8E4M3FNUZ, .f8E5M2FNUZ:
      Block(elements: 1, bytes: 1)
    case .i16, .u16, .f16, .bf16: Block(elements: 1, bytes: 2)
    case .i32, .u32, .f32: Block(elements: 1, bytes: 4)
    case .c64, .f64, .i64, .u64: Block(elements: 1, bytes: 8)
    case .q4_0: Block(elements: 32, bytes: 18)
    case .q4_1: Block(elements: 32, bytes: 20)
    case .q5_0: Block(elements: 32, bytes: 22)
    case .q5_1: Block(elements: 32, bytes: 24)
    case .q8_0: Block(elements: 32, bytes: 34)
    case .q4K: Block(elements: 256, bytes: 144)
    case .q5K: Block(elements: 256, bytes: 176)
    case .q6K: Block(elements: 256, bytes: 210)
    case .q2K: Block(elements: 256, bytes: 84)
    case .q3K: Block(elements: 256, bytes: 110)
    case .iq1S: Block(elements: 256, bytes: 50)
    case .iq1M: Block(elements: 256, bytes: 56)
    case .iq2XXS: Block(elements: 256, bytes: 66)
    case .iq2XS: Block(elements: 256, bytes: 74)
    case .iq2S: Block(elements: 256, bytes: 82)
    case .iq3XXS: Block(elements: 256, bytes: 98)
    case .iq3S: Block(elements: 256, bytes: 110)
    case .iq4NL: Block(elements: 32, bytes: 18)
    case .iq4XS: Block(elements: 256, bytes: 136)
    case .tq1_0: Block(elements: 256, bytes: 54)
    case .tq2_0: Block(elements: 256, bytes: 66)
    case .mxfp4: Block(elements: 32, bytes: 17)
    case .nvfp4: Block(elements: 64, bytes: 36)
    }
  }

  /// Whether the elements are real floating-point numbers of their own, without a block's scale.
  public var isFloatingPoint: Bool {
    switch self {
    case .f4, .f6E2M3, .f6E3M2, .f8E5M2, .f8E4M3, .f8E8M0, .f8E4M3FNUZ, .f8E5M2FNUZ, .f16, .bf16,
      .f32, .f64:
      true
    default: false
    }
  }

  /// Whether this is one of GGUF's quantized block types.
  public var isQuantizedBlock: Bool { block.elements >= 32 }

  /// The bytes that this many elements take.
  ///
  /// - Parameter elementCount: how many elements; not negative.
  /// - Returns: nil where they do not fill whole blocks, or the count overflows.
  public func byteCount(elementCount: Int) -> Int? {
    let (blocks, rest) = elementCount.quotientAndRemainder(dividingBy: block.elements)
    guard rest == 0 else { return nil }
    let (bytes, overflow) = blocks.multipliedReportingOverflow(by: block.bytes)
    return overflow ? nil : bytes
  }
}
