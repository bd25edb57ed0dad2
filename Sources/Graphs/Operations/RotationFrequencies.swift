import Foundation
import Synchronization

/// How fast each pair of a rotary embedding turns with the position.
///
/// Computed in float32 as the reference implementations do: at position 500 an angle in float32 is
/// only known to 3e-5, so another precision would give other logits.
public struct RotationFrequencies: Sendable, Hashable {
  /// Stretches the context beyond the one that the model was trained on.
  public enum Scaling: Sendable, Hashable {
    /// Every frequency divided by a factor.
    case linear(factor: Float)
    /// Llama 3.1's: low frequencies divided, high ones kept, those between blended.
    case llama3(factor: Float, lowFactor: Float, highFactor: Float, originalLength: Float)
    /// YaRN's (Peng et al., 2023): pairs that turn more than `fast` times over the original length
    /// are kept, those that turn less than `slow` times divided, those between blended. Where it is
    /// truncated, the blend begins and ends at whole pairs.
    case yarn(factor: Float, fast: Float, slow: Float, originalLength: Float, isTruncated: Bool)
  }

  /// The base whose powers the frequencies are; 10,000 in the paper.
  public let base: Float
  /// How the context is stretched, or nil where it is not.
  public let scaling: Scaling?
  /// What cosines and sines are multiplied by: 1, but for YaRN.
  public let amplitude: Float

  package init(base: Float, scaling: Scaling? = nil, amplitude: Float = 1) {
    self.base = base
    self.scaling = scaling
    self.amplitude = amplitude
  }

  /// By how much YaRN raises the amplitude for a context that is `factor` times as long; `weight`
  /// is called mscale.
  package static func yarnAmplitude(factor: Float, weight: Double = 1) -> Double {
    factor <= 1 ? 1 : 0.1 * weight * log(Double(factor)) + 1
  }

  /// Radians by which each pair turns from one position to the next.
  package func radians(size: Int) -> [Float] {
    (0..<size / 2).map { pair in
      let frequency = 1 / powf(base, Float(2 * pair) / Float(size))
      switch scaling {
      case nil: return frequency
      case .linear(let factor): return frequency / factor
      case .llama3(let factor, let lowFactor, let highFactor, let originalLength):
        let wavelength = 2 * Float.pi / frequency
        if wavelength < originalLength / highFactor { return frequency }
        if wavelength > originalLength / lowFactor { return frequency / factor }
        let blend = (originalLength / wavelength - lowFactor) / (highFactor - lowFactor)
        return (1 - blend) * frequency / factor + blend * frequency
      case .yarn(let factor, let fast, let slow, let originalLength, let isTruncated):
        /// The pair that turns so many times over the original length, as a real number.
        func pairTurning(_ turns: Float) -> Double {
          Double(size) * log(Double(originalLength) / (Double(turns) * 2 * Double.pi))
            / (2 * log(Double(base)))
        }
        var (low, high) = (pairTurning(fast), pairTurning(slow))
        if isTruncated { (low, high) = (low.rounded(.down), high.rounded(.up)) }
        (low, high) = (max(low, 0), min(high, Double(size - 1)))
        // The method's own guard against a ramp of no width.
        if low == high { high += 0.001 }
        let ramp = (Float(pair) - Float(low)) / Float(high - low)
        let divided = min(max(ramp, 0), 1)
        let kept = 1 - divided
        return 1 / (factor * powf(base, Float(2 * pair) / Float(size))) * (1 - kept)
          + frequency * kept
      }
    }
  }
}

/// Cosines and sines of every position up to a limit, [positions, size / 2] each.
package final class RotationTable: Sendable {
  package let positions: Int
  private let cosines: [Float]
  private let sines: [Float]

  init(_ frequencies: RotationFrequencies, size: Int, positions: Int) {
    let radians = frequencies.radians(size: size)
    let amplitude = frequencies.amplitude
    let angles = (0..<positions).flatMap { position in radians.map { Float(position) * $0 } }
    self.positions = positions
    cosines = angles.map { cosf($0) * amplitude }
    sines = angles.map { sinf($0) * amplitude }
  }

  package func withPointers<R>(
    _ body: (_ cosines: UnsafePointer<Float>, _ sines: UnsafePointer<Float>) -> R
  ) -> R {
    cosines.withUnsafeBufferPointer { cosines in
      sines.withUnsafeBufferPointer { sines in
        guard let first = cosines.baseAddress, let second = sines.baseAddress else {
          preconditionFailure("a rotation table has at least one position")
        }
        return body(first, second)
      }
    }
  }
}

/// The rotation tables of a model, made when first needed and grown by doubling.
package final class RotationCache: Sendable {
  private struct Key: Hashable {
    let frequencies: RotationFrequencies
    let size: Int
  }

  private let tables = Mutex<[Key: RotationTable]>([:])

  package init() {}

  package func table(
    _ frequencies: RotationFrequencies,
    size: Int,
    positions: Int
  ) -> RotationTable {
    let key = Key(frequencies: frequencies, size: size)
    return tables.withLock { tables in
      if let table = tables[key], table.positions >= positions { return table }
      var capacity = 512
      while capacity < positions { capacity *= 2 }
      let table = RotationTable(frequencies, size: size, positions: capacity)
      tables[key] = table
      return table
    }
  }
}
