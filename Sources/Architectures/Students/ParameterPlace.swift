package import KaratTensors

/// Where a parameter stands in a model, read from its name: which layer, which expert, and the rest.
package struct ParameterPlace: Sendable, Hashable {
  /// What comes before the layer's number, such as `model.layers.`; the whole name outside layers.
  package var stem: String
  /// The layer's number, or nil outside the layers.
  package var layer: Int?
  /// What stands between the layer's number and the expert's, such as `mlp.experts`, or the rest of
  /// the name.
  package var module: String
  /// The expert's number, or nil where the parameter is in none.
  package var expert: Int?
  /// What comes behind the expert's number, such as `down_proj.weight`; empty outside experts.
  package var tail: String

  /// Reads a name.
  package init(_ name: TensorName) {
    var parts = name.text.split(separator: ".", omittingEmptySubsequences: false)[...]
    guard
      let number = parts.indices.dropLast().first(where: {
        (parts[$0] == "layers" || parts[$0] == "layer") && Self.number(parts[$0 + 1]) != nil
      })
    else {
      (stem, module, tail) = (name.text, "", "")
      return
    }
    stem = parts[...number].joined(separator: ".")
    layer = Self.number(parts[number + 1])
    parts = parts[(number + 2)...]
    guard
      let experts = parts.indices.dropLast().first(where: {
        parts[$0] == "experts" && Self.number(parts[$0 + 1]) != nil
      })
    else {
      (module, tail) = (parts.joined(separator: "."), "")
      return
    }
    module = parts[...experts].joined(separator: ".")
    expert = Self.number(parts[experts + 1])
    tail = parts[(experts + 2)...].joined(separator: ".")
  }

  /// The name that it was read from, or another where a part was changed.
  package var name: TensorName {
    let numbered = [stem, layer.map(String.init), module, expert.map(String.init), tail]
    return TensorName(numbered.compactMap(\.self).filter { !$0.isEmpty }.joined(separator: "."))
  }

  /// The name without its last component, `weight` or `bias`.
  package var path: TensorName {
    let text = name.text
    return TensorName(text.lastIndex(of: ".").map { String(text[..<$0]) } ?? text)
  }

  /// A number as names have it: digits alone, few enough for any model.
  private static func number(_ text: Substring) -> Int? {
    guard text.count <= 8, text.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
    return Int(text)
  }
}
