import CKernels

/// The operations of the instruction set in use.
var kernels: karat_kernels { karat_active().pointee }

/// Instruction sets that kernels are compiled for, in ascending order of preference.
package enum InstructionSet: String, CaseIterable, Sendable {
  /// What every processor of the family runs: SSE2 on x86-64, NEON on ARM.
  case baseline
  /// AVX2 and FMA.
  case avx2
  /// AVX-512 with VNNI.
  case avx512

  /// The best one of this processor.
  package static var detected: InstructionSet {
    InstructionSet(karat_detected_instruction_set())
  }

  /// The one in use.
  package static var active: InstructionSet {
    InstructionSet(kernels.instruction_set)
  }

  /// Puts this one in use, or the detected one if that is less; for tests and benchmarks.
  ///
  /// - Returns: the one now in use.
  @discardableResult package func use() -> InstructionSet {
    InstructionSet(karat_set_instruction_set(level))
  }

  private var level: karat_instruction_set {
    switch self {
    case .baseline: KARAT_BASELINE
    case .avx2: KARAT_AVX2
    case .avx512: KARAT_AVX512
    }
  }

  private init(_ level: karat_instruction_set) {
    switch level {
    case KARAT_AVX512: self = .avx512
    case KARAT_AVX2: self = .avx2
    default: self = .baseline
    }
  }
}
