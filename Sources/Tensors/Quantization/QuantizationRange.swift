/// The scale and zero point of a static INT8 activation: x ≈ scale · (code − zeroPoint), with codes
/// from −128 to 127.
public struct QuantizationRange: Sendable, Hashable, Codable {
  /// The width of one step; positive and finite.
  public let scale: Float
  /// The code of zero, from −128 to 127.
  public let zeroPoint: Int8

  /// Names a scale and zero point.
  public init(scale: Float, zeroPoint: Int8) {
    self.scale = scale
    self.zeroPoint = zeroPoint
  }

  /// The range whose codes span two numbers, widened so that zero has a code of its own.
  ///
  /// Padding, and what a norm or an activation function leaves at zero, then stays exactly zero.
  /// Where both numbers are zero the scale is 1, since any scale represents zeros exactly.
  ///
  /// - Parameters:
  ///   - lower: the smallest number that is represented; finite.
  ///   - upper: the largest.
  public init(spanning lower: Float, _ upper: Float) {
    let (lower, upper) = (Double(min(lower, 0)), Double(max(upper, 0)))
    let step = Float((upper - lower) / 255)
    guard step >= Float.leastNormalMagnitude else {
      self.init(scale: 1, zeroPoint: 0)
      return
    }
    let zero = (-128 - lower / Double(step)).rounded(.toNearestOrEven)
    self.init(scale: step, zeroPoint: Int8(max(-128, min(127, zero))))
  }

  /// The zero point among codes from 0 to 255, as unsigned arithmetic takes it.
  public var unsignedZeroPoint: UInt8 { UInt8(Int(zeroPoint) + 128) }
}

extension QuantizationRange {
  /// The smallest number that has a code.
  public var lower: Float { scale * Float(-128 - Int(zeroPoint)) }

  /// The largest number that has a code.
  public var upper: Float { scale * Float(127 - Int(zeroPoint)) }

  /// The narrowest range with zero point zero that spans this one.
  public var symmetric: QuantizationRange {
    QuantizationRange(scale: max(-lower / 128, upper / 127), zeroPoint: 0)
  }
}
