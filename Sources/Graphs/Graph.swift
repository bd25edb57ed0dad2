public import KaratTensors

/// One of a node's results: the place of the node in its graph, and which of its outputs.
public struct ValueID: Sendable, Hashable, Comparable {
  /// The node's place in `Graph.nodes`.
  public let node: Int
  /// Which of the node's outputs.
  public let output: Int

  /// Names an output of a node.
  public init(node: Int, output: Int = 0) {
    self.node = node
    self.output = output
  }

  /// Orders values as they are computed.
  public static func < (left: ValueID, right: ValueID) -> Bool {
    (left.node, left.output) < (right.node, right.output)
  }
}

/// One operation in a graph, with what it reads and what it gives.
public struct Node: Sendable, Hashable {
  /// What is computed.
  public let op: Op
  /// The values it reads.
  public let inputs: [ValueID]
  /// The types of what it gives, as the operation's shape rule says.
  public let types: [ValueType]
  /// Which module of the model it belongs to, in the checkpoint's spelling:
  /// `model.layers.0.self_attn.q_proj`.
  public let path: TensorName
  /// Which block of the model it belongs to, or nil before, between and after the blocks.
  public let block: Int?
}

/// What a model computes: operations in an order in which each comes after what it reads.
///
/// A graph is a value. It is traced once for any batch and length, rewritten by passes, and run by
/// the engine; its parameters are names that a `TensorSource` resolves.
public struct Graph: Sendable, Hashable {
  /// The operations; each reads only from those before it.
  public internal(set) var nodes: [Node]
  /// Values that have a name: `input_ids`, `logits`, and the state after each block.
  public internal(set) var named: [String: ValueID]

  /// The type of a value.
  public func type(of value: ValueID) -> ValueType { nodes[value.node].types[value.output] }

  /// The node that computes a value.
  package func node(of value: ValueID) -> Node { nodes[value.node] }

  /// The name of the parameter that a value is, or nil where it is computed.
  package func parameter(_ value: ValueID) -> Parameter? {
    guard case .parameter(let parameter) = node(of: value).op else { return nil }
    return parameter
  }

  /// The parameters that the graph reads, in order, each once.
  public var parameters: [(name: TensorName, type: ValueType)] {
    var seen: Set<TensorName> = []
    return nodes.compactMap { node in
      guard case .parameter(let parameter) = node.op, seen.insert(parameter.tensor).inserted else {
        return nil
      }
      return (parameter.tensor, node.types[0])
    }
  }

  /// Whether it gives one vector for each sequence, `sentence_embedding`.
  package var isEncoder: Bool { named["sentence_embedding"] != nil }

  /// For every value, the places of the nodes that read it.
  package var readers: [ValueID: [Int]] {
    var readers: [ValueID: [Int]] = [:]
    for (place, node) in nodes.enumerated() {
      for input in Set(node.inputs) { readers[input, default: []].append(place) }
    }
    return readers
  }

  /// For every node, whether it is computed from parameters alone, so the same in every run.
  package var constants: [Bool] {
    var constants: [Bool] = []
    for node in nodes {
      switch node.op {
      case .input: constants.append(false)
      case .parameter: constants.append(true)
      default: constants.append(node.inputs.allSatisfy { constants[$0.node] })
      }
    }
    return constants
  }
}

extension Graph: CustomStringConvertible {
  /// One line for each operation, the same for equal graphs.
  public var description: String {
    var lines: [String] = []
    for (place, node) in nodes.enumerated() {
      let results = node.types.indices.map { "%\(place)" + ($0 == 0 ? "" : ".\($0)") }
      let inputs = node.inputs.map { "%\($0.node)" + ($0.output == 0 ? "" : ".\($0.output)") }
      let attributes = node.op.operation.attributes.map { "\($0.name): \($0.value)" }
      let arguments = (inputs + attributes).joined(separator: ", ")
      let types = node.types.map(\.description).joined(separator: ", ")
      let path = node.path.text.isEmpty ? "" : "  @ \(node.path.text)"
      lines.append(
        "\(results.joined(separator: ", ")) = \(node.op.operation.name)(\(arguments)) : "
          + "\(types)\(path)"
      )
    }
    for (name, value) in named.sorted(by: { $0.value < $1.value }) {
      lines.append("\(name): %\(value.node)")
    }
    return lines.joined(separator: "\n")
  }
}
