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
  }

  /// The base whose powers the frequencies are; 10,000 in the paper.
  public let base: Float
  /// How the context is stretched, or nil where it is not.
  public let scaling: Scaling?

  package init(base: Float, scaling: Scaling? = nil) {
    self.base = base
    self.scaling = scaling
  }

  /// Radians by which each pair turns from one position to the next.
  package func radians(headSize: Int) -> [Float] {
    (0..<headSize / 2).map { pair in
      let frequency = 1 / powf(base, Float(2 * pair) / Float(headSize))
      switch scaling {
      case nil: return frequency
      case .linear(let factor): return frequency / factor
      case .llama3(let factor, let lowFactor, let highFactor, let originalLength):
        let wavelength = 2 * Float.pi / frequency
        if wavelength < originalLength / highFactor { return frequency }
        if wavelength > originalLength / lowFactor { return frequency / factor }
        let blend = (originalLength / wavelength - lowFactor) / (highFactor - lowFactor)
        return (1 - blend) * frequency / factor + blend * frequency
      }
    }
  }
}

/// Cosines and sines of every position up to a limit, [positions, headSize / 2] each.
package final class RotationTable: Sendable {
  package let positions: Int
  private let cosines: [Float]
  private let sines: [Float]

  init(_ rope: RoPE, positions: Int) {
    let radians = rope.frequencies.radians(headSize: rope.headSize)
    let angles = (0..<positions).flatMap { position in radians.map { Float(position) * $0 } }
    self.positions = positions
    cosines = angles.map { cosf($0) }
    sines = angles.map { sinf($0) }
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
  private let tables = Mutex<[RoPE: RotationTable]>([:])

  package init() {}

  package func table(_ rope: RoPE, positions: Int) -> RotationTable {
    tables.withLock { tables in
      if let table = tables[rope], table.positions >= positions { return table }
      var capacity = 512
      while capacity < positions { capacity *= 2 }
      let table = RotationTable(rope, positions: capacity)
      tables[rope] = table
      return table
    }
  }
}
