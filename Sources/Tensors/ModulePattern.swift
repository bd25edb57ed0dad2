/// A pattern for the names of modules: an exact name, or `re:` and a regular expression that must
/// match from the beginning of the name.
public struct ModulePattern: Sendable, Hashable {
  /// The pattern as it was written.
  public let text: String

  private var expression: Substring? { text.hasPrefix("re:") ? text.dropFirst(3) : nil }

  /// Reads a pattern.
  ///
  /// - Returns: nil where it is a regular expression that cannot be understood.
  public init?(_ text: String) {
    self.text = text
    if let expression, (try? Regex(String(expression))) == nil { return nil }
  }

  /// The pattern that matches one module's name.
  public init(exactly path: TensorName) {
    text = path.text
  }

  /// Whether a module's name matches.
  public func matches(_ path: TensorName) -> Bool {
    guard let expression else { return TensorName(text) == path }
    // It was understood once, in `init`; a compiled expression cannot be kept in a Sendable value.
    guard let compiled = try? Regex(String(expression)) else { return false }
    return path.text.prefixMatch(of: compiled) != nil
  }
}
