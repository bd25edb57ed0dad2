/// The name of a tensor in a checkpoint, unique by its UTF-8 bytes.
///
/// `String` compares by canonical equivalence: "é" as one scalar and as two would be one dictionary
/// key, and of two such tensors one would be lost. Names compare, sort and hash by bytes instead.
public struct TensorName: Sendable, Comparable, ExpressibleByStringLiteral,
  CustomStringConvertible
{
  /// The name as text.
  public let text: String

  /// Makes a name from text.
  public init(_ text: String) {
    self.text = text
  }

  /// Makes a name from a literal.
  public init(stringLiteral text: String) {
    self.text = text
  }

  /// The name as it stands in messages, in single quotes; what a terminal would obey or not show,
  /// such as control characters and marks of writing direction, is escaped.
  public var quoted: String {
    var escaped = "'"
    for scalar in text.unicodeScalars {
      switch scalar.properties.generalCategory {
      case .control, .format, .lineSeparator, .paragraphSeparator:
        escaped += scalar.escaped(asASCII: true)
      case _ where scalar == "'":
        escaped += scalar.escaped(asASCII: true)
      default:
        escaped.unicodeScalars.append(scalar)
      }
    }
    return escaped + "'"
  }

  /// The name as text.
  public var description: String { text }

  /// The name of a tensor below this one: the two joined by a dot.
  public static func / (scope: TensorName, component: String) -> TensorName {
    scope.text.isEmpty ? TensorName(component) : TensorName(scope.text + "." + component)
  }

  /// Orders names by their UTF-8 bytes.
  public static func < (left: TensorName, right: TensorName) -> Bool {
    left.text.utf8.lexicographicallyPrecedes(right.text.utf8)
  }
}

extension TensorName: Hashable {
  /// Whether the names have the same UTF-8 bytes.
  public static func == (left: TensorName, right: TensorName) -> Bool {
    left.text.utf8.count == right.text.utf8.count
      && left.withBytes { left in right.withBytes { left.elementsEqual($0) } }
  }

  /// Hashes the UTF-8 bytes.
  public func hash(into hasher: inout Hasher) {
    withBytes { hasher.combine(bytes: $0) }
    hasher.combine(0xff as UInt8)
  }

  // Whole buffers are hashed and compared several times faster than bytes one by one, and a
  // checkpoint may hold a million names.
  private func withBytes<R>(_ body: (UnsafeRawBufferPointer) -> R) -> R {
    if let result = text.utf8.withContiguousStorageIfAvailable({ body(.init($0)) }) {
      return result
    }
    var text = text
    return text.withUTF8 { body(.init($0)) }
  }
}

extension TensorName {
  /// The module whose tensor of a given name this is, or nil where it is another one's.
  package func module(of component: String) -> TensorName? {
    text.hasSuffix("." + component) ? TensorName(String(text.dropLast(component.count + 1))) : nil
  }
}
