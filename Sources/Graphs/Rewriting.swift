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
  ///
  /// Parameters come over when something reads them, so that a tensor may be read as another type
  /// in the new graph.
  package mutating func new(_ value: ValueID) throws(GraphError) -> ValueID {
    if let known = moved[value] { return known }
    let node = original.node(of: value)
    guard case .parameter = node.op else { preconditionFailure("values are rewritten in order") }
    let parameter = try add(node.op, [], like: node)
    moved[value] = parameter
    return parameter
  }

  /// The values in the new graph that stand for some of the original.
  package mutating func new(_ values: some Sequence<ValueID>) throws(GraphError) -> [ValueID] {
    var result: [ValueID] = []
    for value in values { result.append(try new(value)) }
    return result
  }

  /// Appends an operation to the new graph, in the module and block of an original node.
  package mutating func add(
    _ op: Op,
    _ inputs: [ValueID],
    like node: Node
  ) throws(GraphError) -> ValueID {
    try builder.add(op, inputs, path: node.path, block: node.block)
  }

  /// Appends a parameter to the new graph, in the module and block of an original node.
  package mutating func parameter(
    _ name: TensorName,
    _ type: ValueType,
    like node: Node
  ) throws(GraphError) -> ValueID {
    try add(.parameter(Parameter(name, type: type)), [], like: node)
  }

  fileprivate mutating func run(
    _ replace: (inout Rewriter, Node) throws(GraphError) -> ValueID?
  ) throws(GraphError) -> Graph {
    for (place, node) in original.nodes.enumerated() {
      if case .parameter = node.op { continue }
      let value: ValueID
      if let replacement = try replace(&self, node) {
        value = replacement
      } else {
        value = try add(node.op, try new(node.inputs), like: node)
      }
      for output in node.types.indices {
        moved[ValueID(node: place, output: output)] = ValueID(
          node: value.node,
          output: value.output + output
        )
      }
    }
    for (name, value) in original.named { builder.name(try new(value), name) }
    return builder.finished()
  }
}

extension Graph {
  /// The graph in which some nodes are replaced.
  ///
  /// - Parameter replace: is given each node but parameters, in order; appends what stands for it to
  ///   the new graph and returns its first result, or returns nil to keep the node.
  /// - Returns: the new graph; its results and named values stand for those of this one.
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
      guard case .dequantize(let activation) = x.op, activation.scheme.granularity != .channel,
        case .dequantize(let weights) = weight.op, weights.scheme.granularity == .channel
      else { return nil }
      let op = IntegerLinear(
        activation: activation.scheme,
        weights: weights.scheme,
        hasBias: node.inputs.count == 3
      )
      let inputs = [x.inputs[0]] + weight.inputs + x.inputs.dropFirst() + node.inputs.dropFirst(2)
      return try rewriter.add(.integerLinear(op), try rewriter.new(inputs), like: node)
    }
  }
}
