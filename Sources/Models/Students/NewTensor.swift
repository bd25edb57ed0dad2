import Foundation
import KaratKernels
import KaratTensors

/// Tensors that begin with numbers that nobody trained.
enum NewTensor {
  /// Numbers of a normal distribution around 0 (Box and Muller, 1958).
  ///
  /// Each depends on the seed, the tensor's name and its place alone, so that any run of them can be
  /// drawn by itself.
  ///
  /// - Parameters:
  ///   - info: type, F32, F16 or BF16, and shape.
  ///   - deviation: the standard deviation.
  ///   - seed: makes the same numbers for the same seed.
  ///   - name: the tensor's name.
  /// - Returns: the tensor, drawn when it is pulled.
  static func normal(
    _ info: TensorInfo,
    deviation: Float,
    seed: UInt64,
    name: TensorName
  ) -> DerivedTensor {
    // FNV-1a, so that tensors of one seed differ.
    let stream = name.text.utf8.reduce(seed ^ 0xcbf2_9ce4_8422_2325) {
      ($0 ^ UInt64($1)) &* 0x0100_0000_01b3
    }
    return computed(info) { place in
      let first = unit(stream, UInt64(place) &* 2)
      let second = unit(stream, UInt64(place) &* 2 &+ 1)
      let radius = (-2 * log(first)).squareRoot()
      return deviation * Float(radius * cos(2 * Double.pi * second))
    }
  }

  /// The same number everywhere.
  static func constant(_ info: TensorInfo, _ number: Float) -> DerivedTensor {
    computed(info) { _ in number }
  }

  private static func computed(
    _ info: TensorInfo,
    _ number: @escaping @Sendable (Int) -> Float
  ) -> DerivedTensor {
    DerivedTensor(info, isDivisible: true) { range throws(CheckpointError) in
      Tensor(range.map(number)).cast(to: info.dtype, on: Workers(threads: 1)).tensor
    }
  }

  /// A number in (0, 1] that depends on a stream and a place (SplitMix64: Steele, Lea and Flood,
  /// 2014).
  private static func unit(_ stream: UInt64, _ place: UInt64) -> Double {
    var mixed = stream &+ (place &+ 1) &* 0x9e37_79b9_7f4a_7c15
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    mixed ^= mixed >> 31
    return (Double(mixed >> 11) + 1) * 0x1p-53
  }
}
