extension Graph {
  /// What the state of the residual stream behind a layer is called.
  package static func stateName(behindLayer layer: Int) -> String { "hidden_after_layer_\(layer)" }

  /// How many layers there are, those behind a decoder that predict further tokens left out.
  package var layerCount: Int {
    let prefix = Self.stateName(behindLayer: 0).dropLast()
    return named.keys.count { $0.hasPrefix(prefix) }
  }

  /// The state behind a layer, or nil where there is no such layer.
  package func state(behindLayer layer: Int) -> ValueID? {
    named[Self.stateName(behindLayer: layer)]
  }
}
