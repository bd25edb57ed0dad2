package import KaratGraphs
public import KaratPatterns
public import KaratTensors

/// Which linear layers passes leave alone: exact names of modules, or `re:` and a regular
/// expression that must match from the beginning of the name.
public struct LayerFilter: Sendable, Hashable {
  /// The patterns.
  public let patterns: [ModulePattern]

  /// Leaves no layer alone.
  public init() {
    patterns = []
  }

  /// Leaves alone the layers that patterns name.
  ///
  /// - Throws: `PassError` where a regular expression cannot be understood.
  public init(_ patterns: [String]) throws(PassError) {
    var read: [ModulePattern] = []
    for text in patterns {
      guard let pattern = ModulePattern(text) else {
        throw PassError("ignore", "'\(text)' is not a regular expression behind 're:'.")
      }
      read.append(pattern)
    }
    self.patterns = read
  }

  /// Whether a layer is left alone.
  public func contains(_ path: TensorName) -> Bool {
    patterns.contains { $0.matches(path) }
  }

  /// Checks that each pattern names a layer, so that a misspelt one does not go unnoticed.
  ///
  /// - Throws: `PassError` with the first pattern that names none.
  package func check(against graph: Graph) throws(PassError) {
    let paths = graph.linearLayers.map(\.path)
    for pattern in patterns where !paths.contains(where: { pattern.matches($0) }) {
      let near = nearest(to: pattern.text, among: paths.map(\.text))
      throw PassError(
        "ignore",
        "'\(pattern.text)' matches no linear layer. "
          + (near.map { "Did you mean '\($0)'?" } ?? "Layers are named as in the checkpoint.")
      )
    }
  }
}
