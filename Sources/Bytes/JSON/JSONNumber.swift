/// A number of a JSON text, kept exactly as it was written.
public struct JSONNumber: Sendable, Hashable, CustomStringConvertible {
  /// The number as it was written, such as `1e-05`.
  public let text: String

  /// Keeps a text that was checked to be a JSON number.
  init(checked text: String) {
    self.text = text
  }

  /// Writes a whole number.
  public init(_ value: some BinaryInteger) {
    text = String(value)
  }

  /// Writes a number in the shortest form that reads back as the same `Double`.
  ///
  /// - Returns: nil for infinities and NaN, which JSON cannot hold.
  public init?(_ value: Double) {
    guard value.isFinite else { return nil }
    text = value.description
  }

  /// Writes a number in the shortest form that reads back as the same `Float`.
  ///
  /// - Returns: nil for infinities and NaN, which JSON cannot hold.
  public init?(_ value: Float) {
    guard value.isFinite else { return nil }
    text = value.description
  }

  /// The value, where the number was written as a whole number and fits.
  public var int: Int? { Int(text) }

  /// The value, where the number was written as a whole number without a sign and fits.
  public var uint64: UInt64? { text.utf8.first == UInt8(ascii: "-") ? nil : UInt64(text) }

  /// The nearest `Double`, or nil where the number is beyond the largest.
  public var double: Double? {
    guard let value = Double(text), value.isFinite else { return nil }
    return value
  }

  /// The number as it was written.
  public var description: String { text }
}
