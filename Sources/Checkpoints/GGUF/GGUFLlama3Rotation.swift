#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif
package import KaratTensors

/// How GGUF says Llama 3's rotation, which stretches the context that a model was trained on: as a
/// tensor of divisors, one for each pair of elements.
///
/// A pair's frequency is divided by 1 where its wave is short, by `factor` where it is longer than
/// the original context, and by something between the two in between.
package struct GGUFLlama3Rotation: Sendable, Hashable {
  /// The tensor's name.
  package static let tensorName: TensorName = "rope_freqs.weight"

  package let factor: Double
  package let lowFactor: Double
  package let highFactor: Double
  /// The tokens of the original context.
  package let originalLength: Double

  package init(factor: Double, lowFactor: Double, highFactor: Double, originalLength: Double) {
    self.factor = factor
    self.lowFactor = lowFactor
    self.highFactor = highFactor
    self.originalLength = originalLength
  }

  /// Takes what a file's metadata say beside the divisors, else what Llama 3's own models have.
  init(factor: Double, metadata: GGUFMetadata, _ architecture: String) {
    func value(_ key: Key, default other: Double) -> Double {
      let value = metadata["\(architecture).\(key.rawValue)"]
      return value?.double ?? value?.int.map(Double.init) ?? other
    }
    self.init(
      factor: factor,
      lowFactor: value(.lowFactor, default: 1),
      highFactor: value(.highFactor, default: 4),
      originalLength: value(.originalLength, default: 8192)
    )
  }

  /// The first is GGUF's own; the others are written where they are not Llama 3's, and only Karat
  /// reads them.
  private enum Key: String {
    case originalLength = "rope.scaling.original_context_length"
    case lowFactor = "rope.scaling.low_freq_factor"
    case highFactor = "rope.scaling.high_freq_factor"
  }

  /// What the metadata say beside the divisors.
  ///
  /// - Precondition: `originalLength` is below 2^32.
  package func metadata(_ architecture: String) -> [(key: String, value: GGUFValue)] {
    var values: [(key: String, value: GGUFValue)] = [
      ("\(architecture).\(Key.originalLength.rawValue)", .uint32(UInt32(originalLength)))
    ]
    guard lowFactor != 1 || highFactor != 4 else { return values }
    values.append(("\(architecture).\(Key.lowFactor.rawValue)", .float32(Float(lowFactor))))
    values.append(("\(architecture).\(Key.highFactor.rawValue)", .float32(Float(highFactor))))
    return values
  }

  /// The divisor of each pair of a head's elements.
  package func divisors(base: Double, headSize: Int) -> [Double] {
    (0..<headSize / 2).map { pair in
      let wave = 2 * Double.pi * pow(base, 2 * Double(pair) / Double(headSize))
      if wave < originalLength / highFactor { return 1 }
      if wave > originalLength / lowFactor { return factor }
      let share = (originalLength / wave - lowFactor) / (highFactor - lowFactor)
      return 1 / ((1 - share) / factor + share)
    }
  }

  /// What the divisors depend on beside the factor, as it stands in messages.
  var bounds: String {
    func text(_ value: Double) -> String {
      Int(exactly: value).map(String.init) ?? "\(value)"
    }
    return "\(text(originalLength)) tokens, bounds \(text(lowFactor)) and \(text(highFactor))"
  }
}
