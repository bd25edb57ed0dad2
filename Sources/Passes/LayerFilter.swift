public import KaratTensors

/// Which linear layers passes leave alone: exact names of modules, or `re:` and a regular
/// expression that must match from the beginning of the name.
public struct LayerFilter: Sendable, Hashable {
  /// The patterns as they were written.
  public let patterns: [String]

  /// Leaves no layer alone.
  public init() {
    patterns = []
  }

  /// Leaves alone the layers that patterns name.
  ///
  /// - Throws: `PassError` where a regular expression cannot be understood.
  public init(_ patterns: [String]) throws(PassError) {
    for pattern in patterns where pattern.hasPrefix("re:") {
      do {
        _ = try Regex(String(pattern.dropFirst(3)))
      } catch {
        throw PassError("ignore", "'\(pattern)' is not a regular expression: \(error).")
      }
    }
    self.patterns = patterns
  }

  /// Whether a layer is left alone.
  public func contains(_ path: TensorName) -> Bool {
    patterns.contains { pattern in
      guard pattern.hasPrefix("re:") else { return TensorName(pattern) == path }
      guard let expression = try? Regex(String(pattern.dropFirst(3))) else { return false }
      return path.text.prefixMatch(of: expression) != nil
    }
  }
}
