public import KaratTensors

/// A pattern for the names of modules: an exact name, or `re:` and a regular expression that must
/// match from the beginning of the name.
public struct ModulePattern: Sendable {
  /// The pattern as it was written.
  public let text: String

  private let expression: Pattern?

  /// Reads a pattern.
  ///
  /// - Returns: nil where it is a regular expression that cannot be understood.
  public init?(_ text: String) {
    self.text = text
    guard text.hasPrefix("re:") else {
      expression = nil
      return
    }
    guard let pattern = try? Pattern(String(text.dropFirst(3))) else { return nil }
    expression = pattern
  }

  /// The pattern that matches one module's name.
  public init(exactly path: TensorName) {
    text = path.text
    expression = nil
  }

  /// Whether a module's name matches, in time linear in the name.
  public func matches(_ path: TensorName) -> Bool {
    guard let expression else { return TensorName(text) == path }
    return expression.matchesStart(of: Array(path.text.utf8))
  }
}

extension ModulePattern: Hashable {
  /// Whether the patterns are written in the same bytes.
  public static func == (left: ModulePattern, right: ModulePattern) -> Bool {
    TensorName(left.text) == TensorName(right.text)
  }

  /// Hashes what `==` compares.
  public func hash(into hasher: inout Hasher) { hasher.combine(TensorName(text)) }
}
