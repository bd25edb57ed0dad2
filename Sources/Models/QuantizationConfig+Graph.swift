package import KaratGraphs
import KaratPatterns
import KaratTensors

extension QuantizationConfig {
  /// How the layers of a graph are quantized, or nil where none is.
  ///
  /// Layers that are quantized in different ways are named by patterns that hold for all blocks and
  /// experts, such as `re:model\.layers\.\d+\.mlp\.experts\.\d+\.up_proj$`, where no layer
  /// outside of the group has such a name, and one by one where one has.
  package init?(describing graph: Graph) {
    var quantized: [Quantization: [TensorName]] = [:]
    var ignored: [TensorName] = []
    for node in graph.nodes {
      if case .integerLinear(let linear) = node.op {
        let found = Quantization(weights: linear.weights, activations: linear.activation)
        quantized[found, default: []].append(node.path)
      } else if let map = node.op.operation.linearMap {
        if case .dequantize(let weights) = graph.node(of: node.inputs[map.weight]).op {
          let found = Quantization(weights: weights.scheme, activations: nil)
          quantized[found, default: []].append(node.path)
        } else {
          ignored.append(node.path)
        }
      } else {
        ignored += graph.matrixModules(of: node)
      }
    }
    guard !quantized.isEmpty else { return nil }
    // The order of a dictionary changes from run to run; that of the layers does not.
    let ordered = quantized.sorted { left, right in left.value[0] < right.value[0] }
    let names = PatternedNames(ordered.map(\.value) + [ignored])
    groups = ordered.enumerated().map { index, entry in
      Group(
        targets: quantized.count == 1
          ? [ModulePattern(exactly: "Linear")] : names.patterns[index],
        weights: entry.key.weights,
        activations: entry.key.activations
      )
    }
    self.ignored = names.patterns[ordered.count]
  }
}

/// How a layer is quantized.
private struct Quantization: Hashable {
  let weights: Scheme
  let activations: Scheme?
}

extension Graph {
  /// The modules whose matrices a node reads without being a linear layer: routers and the like,
  /// which other programs build as linear layers and would take for quantized ones.
  fileprivate func matrixModules(of node: Node) -> [TensorName] {
    if case .embedding = node.op { return [] }
    return node.inputs.compactMap { input in
      guard let parameter = parameter(input), type(of: input).dtype == .f32,
        type(of: input).extents.count == 2
      else { return nil }
      return parameter.tensor.module(of: "weight")
    }
  }
}

/// Groups of modules' names, each written as few patterns that match its names and no other's.
private struct PatternedNames {
  private(set) var patterns: [[ModulePattern]] = []

  init(_ groups: [[TensorName]]) {
    var owners: [TensorName: Set<Int>] = [:]
    for (index, names) in groups.enumerated() {
      for name in names { owners[Self.template(of: name), default: []].insert(index) }
    }
    for names in groups {
      var written: Set<TensorName> = []
      var own: [ModulePattern] = []
      for name in names {
        let template = Self.template(of: name)
        let isShared = owners[template].map { $0.count > 1 } ?? true
        let text = isShared || groups.count == 1 ? name : template
        guard written.insert(text).inserted, let pattern = ModulePattern(text.text) else {
          continue
        }
        own.append(pattern)
      }
      patterns.append(own)
    }
  }

  /// The name with every number in it left open, as a regular expression; a name without numbers
  /// stays as it is.
  private static func template(of name: TensorName) -> TensorName {
    let parts = name.text.split(separator: ".", omittingEmptySubsequences: false)
    func isNumber(_ part: Substring) -> Bool {
      !part.isEmpty && part.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")) ~= $0 }
    }
    func isPlain(_ part: Substring) -> Bool {
      part.utf8.allSatisfy {
        (UInt8(ascii: "a")...UInt8(ascii: "z")) ~= $0
          || (UInt8(ascii: "A")...UInt8(ascii: "Z")) ~= $0
          || (UInt8(ascii: "0")...UInt8(ascii: "9")) ~= $0 || $0 == UInt8(ascii: "_")
      }
    }
    guard parts.contains(where: isNumber), parts.allSatisfy(isPlain) else { return name }
    let text = parts.map { isNumber($0) ? #"\d+"# : String($0) }.joined(separator: #"\."#)
    return TensorName("re:\(text)$")
  }
}
