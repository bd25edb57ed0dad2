import KaratTensors

/// The numbers by which GGUF calls element types.
enum GGUFTensorType {
  /// The types that Karat reads.
  static let known: [UInt32: DType] = [
    0: .f32, 1: .f16, 2: .q4_0, 3: .q4_1, 6: .q5_0, 7: .q5_1, 8: .q8_0, 12: .q4K, 13: .q5K,
    14: .q6K, 24: .i8, 25: .i16, 26: .i32, 27: .i64, 28: .f64, 30: .bf16,
  ]

  /// The names of the types that Karat does not read.
  static let others: [UInt32: String] = [
    9: "Q8_1", 10: "Q2_K", 11: "Q3_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS",
    19: "IQ1_S", 20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 29: "IQ1_M", 34: "TQ1_0",
    35: "TQ2_0", 39: "MXFP4", 40: "NVFP4",
  ]

  /// Says why a type is not read, and which are.
  static func refusal(of number: UInt32) -> String {
    let found =
      others[number].map { "its type is \($0)" } ?? "its type has the unknown number \(number)"
    let names = known.sorted { $0.key < $1.key }.map(\.value.rawValue).joined(separator: ", ")
    return "\(found); these are read: \(names). Convert the original to one of them."
  }
}
