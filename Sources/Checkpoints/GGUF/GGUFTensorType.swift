import KaratTensors

/// The numbers by which GGUF calls element types.
enum GGUFTensorType {
  /// The types that Karat reads.
  static let known: [UInt32: DType] = [
    0: .f32, 1: .f16, 2: .q4_0, 3: .q4_1, 6: .q5_0, 7: .q5_1, 8: .q8_0, 10: .q2K, 11: .q3K,
    12: .q4K, 13: .q5K, 14: .q6K, 16: .iq2XXS, 17: .iq2XS, 18: .iq3XXS, 19: .iq1S, 20: .iq4NL,
    21: .iq3S, 22: .iq2S, 23: .iq4XS, 24: .i8, 25: .i16, 26: .i32, 27: .i64, 28: .f64, 29: .iq1M,
    30: .bf16, 34: .tq1_0, 35: .tq2_0, 39: .mxfp4, 40: .nvfp4,
  ]

  /// The number of a type, or nil where GGUF has none for it.
  static func number(of dtype: DType) -> UInt32? { numbers[dtype] }

  private static let numbers = Dictionary(uniqueKeysWithValues: known.map { ($0.value, $0.key) })

  /// The names of the types that Karat does not read: two that only appear inside computations, and
  /// one that the `gguf` package cannot decode either.
  private static let others: [UInt32: String] = [9: "Q8_1", 15: "Q8_K", 41: "Q1_0"]

  /// The names of the types that Karat reads, as they stand in messages.
  static let names = known.sorted { $0.key < $1.key }.map(\.value.rawValue).joined(separator: ", ")

  /// Says why a type is not read, and which are.
  static func refusal(of number: UInt32) -> String {
    let found =
      others[number].map { "its type is \($0)" } ?? "its type has the unknown number \(number)"
    return "\(found); these are read: \(names). Convert the original to one of them."
  }
}
