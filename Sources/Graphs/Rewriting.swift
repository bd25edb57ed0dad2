package import KaratTensors

/// Builds a graph anew from another, node by node, where some nodes become others.
package struct Rewriter {
  package let original: Graph
  private var builder = GraphBuilder()
  private var moved: [ValueID: ValueID] = [:]

  fileprivate init(_ original: Graph) {
    self.original = original
  }

  /// The value in the new graph that stands for one of the original.
  package func new(_ value: ValueID) -> ValueID {
    guard let value = moved[value] else { preconditionFailure("values are rewritten in order") }
    return value
  }

  /// Appends an operation to the new graph, in the module and block of an original node.
  package mutating func add(
    _ op: Op, _ inputs: [ValueID], like node: Node
  ) throws(GraphError) -> ValueID {
    try builder.add(op, inputs, path: node.path, block: node.block)
  }

  /// Appends a parameter to the new graph, in the module and block of an original node.
  package mutating func parameter(
    _ name: TensorName, _ type: ValueType, like node: Node
  ) throws(GraphError) -> ValueID {
    try add(.parameter(Parameter(name, type: type)), [], like: node)
  }

  fileprivate mutating func run(
    _ replace: (inout Rewriter, Node) throws(GraphError) -> ValueID?
  ) throws(GraphError) -> Graph {
    for (place, node) in original.nodes.enumerated() {
      let value: ValueID
      if let replacement = try replace(&self, node) {
        value = replacement
      } else {
        value = try add(node.op, node.inputs.map { new($0) }, like: node)
      }
      for output in node.types.indices {
        moved[ValueID(node: place, output: output)] = ValueID(
          node: value.node, output: value.output + output)
      }
    }
    for (name, value) in original.named { builder.name(new(value), name) }
    return builder.finished()
  }
}

extension Graph {
  /// The graph in which some nodes are replaced.
  ///
  /// - Parameter replace: is given each node in order; appends what stands for it to the new graph
  ///   and returns its first result, or returns nil to keep the node.
  /// - Throws: `GraphError` where a new node does not fit its inputs.
  package func rewritten(
    _ replace: (inout Rewriter, Node) throws(GraphError) -> ValueID?
  ) throws(GraphError) -> Graph {
    var rewriter = Rewriter(self)
    return try rewriter.run(replace)
  }

  /// The graph in which products of dequantized codes are done in integer arithmetic.
  ///
  /// `linear(dequantize(codes), dequantize(weights))` becomes `integer_linear`, whatever order the
  /// passes came in that put the quantizations there.
  package func withIntegerArithmetic() throws(GraphError) -> Graph {
    try rewritten { rewriter, node throws(GraphError) in
      guard case .linear = node.op else { return nil }
      let (x, weight) = (self.node(of: node.inputs[0]), self.node(of: node.inputs[1]))
      guard case .dequantize(let activation) = x.op, activation.scheme.granularity == .tensor,
        case .dequantize(let weights) = weight.op, weights.scheme.granularity == .channel
      else { return nil }
      let op = IntegerLinear(activation: activation.scheme, hasBias: node.inputs.count == 3)
      let inputs = [x.inputs[0]] + weight.inputs + x.inputs.dropFirst() + node.inputs.dropFirst(2)
      return try rewriter.add(.integerLinear(op), inputs.map { rewriter.new($0) }, like: node)
    }
  }
}
