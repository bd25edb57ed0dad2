/// How real numbers become integer codes: x ≈ scale · (code − zero point).
///
/// The same value describes weights and activations, quantization after training and
/// quantization-aware training.
public struct Scheme: Sendable, Hashable, Codable {
  /// Which elements share a scale.
  public enum Granularity: String, Sendable, Hashable, Codable {
    /// All of them.
    case tensor
    /// Those of one output channel, the outermost extent of a linear weight.
    case channel
    /// Those of one token, the row of an activation.
    case token
  }

  /// Bits of a code.
  public let bits: Int
  /// Whether zero is always code zero, so that there is no zero point.
  public let isSymmetric: Bool
  /// Which elements share a scale.
  public let granularity: Granularity
  /// Whether scales are taken from the numbers themselves in every run, not from calibration.
  public let isDynamic: Bool

  /// Describes a quantization.
  public init(bits: Int, isSymmetric: Bool, granularity: Granularity, isDynamic: Bool = false) {
    self.bits = bits
    self.isSymmetric = isSymmetric
    self.granularity = granularity
    self.isDynamic = isDynamic
  }

  /// The largest magnitude of a symmetric code, as many on both sides of zero: 127 of 8 bits.
  package var limit: Float { Float((1 << (bits - 1)) - 1) }

  /// INT8 weights: symmetric, one scale for each output channel.
  public static let int8Weights = Scheme(bits: 8, isSymmetric: true, granularity: .channel)

  /// INT8 activations: asymmetric, one scale and zero point for the whole tensor, from calibration.
  public static let int8Activations = Scheme(bits: 8, isSymmetric: false, granularity: .tensor)

  /// INT8 activations: symmetric, one scale for each token, taken from its numbers in every run.
  public static let int8Tokens = Scheme(
    bits: 8,
    isSymmetric: true,
    granularity: .token,
    isDynamic: true
  )
}
