import KaratTensors

extension Graph {
  /// The graph that computes in floating point what this one computes with codes.
  ///
  /// Layers read what was rounded for them, and weights of their names as F32; ranges are read no
  /// more. The graphs of this one before and after `withRoundedWeights` give the same.
  ///
  /// - Throws: `GraphError` where a rule is broken.
  package func inFloatingPoint() throws(GraphError) -> Graph {
    try rewritten { rewriter, node throws(GraphError) in
      switch node.op {
      case .integerLinear(let linear):
        let ranges = linear.activation.isSymmetric ? 1 : 2
        let (x, weight) = (node.inputs[0], node.inputs[1])
        let inputs = [
          try rewriter.new(self.node(of: x).inputs[0]),
          try numbers(of: weight, &rewriter, like: node),
        ]
        let bias = try rewriter.new(node.inputs.dropFirst(3 + ranges))
        return try rewriter.add(.linear(Linear()), inputs + bias, like: node)
      case .dequantize(let dequantize) where dequantize.scheme.granularity == .channel:
        return try numbers(of: node.inputs[0], &rewriter, like: node)
      case .dequantize:
        return try rewriter.new(self.node(of: node.inputs[0]).inputs[0])
      default: return nil
      }
    }
  }

  /// The weight, in floating point, that codes stand for or are made from.
  private func numbers(
    of codes: ValueID,
    _ rewriter: inout Rewriter,
    like node: Node
  ) throws(GraphError) -> ValueID {
    if case .roundWeight = self.node(of: codes).op {
      return try rewriter.new(self.node(of: codes).inputs[0])
    }
    guard let weight = parameter(codes) else {
      throw GraphError(path: node.path, "its codes are computed, not stored.")
    }
    return try rewriter.parameter(weight.tensor, type(of: codes).with(dtype: .f32), like: node)
  }
}
