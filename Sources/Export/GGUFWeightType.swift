public import KaratTensors

/// What a GGUF file's matrices are written as; vectors, such as norms and biases, stay float32.
public enum GGUFWeightType: String, Sendable, CaseIterable {
  /// Floating-point numbers of 32, 16 and 16 bits.
  case f32, f16, bf16
  /// Blocks of 32 numbers that share a float16 scale, in 8 or 4 bits; `q4_1` with a least value.
  case q8_0, q4_0, q4_1

  /// The element type.
  public var dtype: DType {
    switch self {
    case .f32: .f32
    case .f16: .f16
    case .bf16: .bf16
    case .q8_0: .q8_0
    case .q4_0: .q4_0
    case .q4_1: .q4_1
    }
  }
}

extension DType {
  /// What `general.file_type` says of a file whose matrices are mostly of this type; 0, all float32,
  /// where GGUF has no number for it.
  var fileType: UInt32 {
    switch self {
    case .f16: 1
    case .q4_0: 2
    case .q4_1: 3
    case .q8_0: 7
    case .bf16: 32
    default: 0
    }
  }
}
