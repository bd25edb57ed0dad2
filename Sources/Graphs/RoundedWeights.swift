package import KaratKernels
package import KaratTensors

/// A layer whose weight is rounded whenever it is read, while it is trained.
package struct RoundedLayer: Sendable {
  /// Its module.
  package let path: TensorName
  /// The weight F32[out, in] that learns.
  package let weight: TensorName
  /// The scale of each of its rows F32[out, 1].
  package let weightScale: TensorName
  /// How the weight becomes codes.
  package let scheme: Scheme
  /// The layer whose range this one's activation is quantized by, where that is static.
  package let leader: TensorName?
}

extension Graph {
  /// The graph that trains this one: integer arithmetic as it is, but codes are made anew from
  /// weights in floating point whenever they are read, so that these can learn.
  ///
  /// What is computed has the same bits. Layers that share one quantization of their activation read
  /// one scale and zero point, so that these learn together.
  ///
  /// - Parameter counting: which numbers the gradients of scales count.
  /// - Returns: the graph, and the layers whose weights it rounds, each once.
  /// - Throws: `GraphError` where a rule is broken.
  package func withRoundedWeights(
    counting: ScaleGradient = .learnedStepSize
  ) throws(GraphError) -> (graph: Graph, layers: [RoundedLayer]) {
    var layers: [RoundedLayer] = []
    var known: Set<TensorName> = []
    let graph = try rewritten { rewriter, node throws(GraphError) in
      let scheme: Scheme
      let codes: Int
      switch node.op {
      case .quantize(let quantize):
        let op = Op.quantize(Quantize(quantize.scheme, counting: counting))
        return try rewriter.add(op, try rewriter.new(node.inputs), like: node)
      case .integerLinear(let linear): (scheme, codes) = (linear.weights, 1)
      case .dequantize(let dequantize) where dequantize.scheme.granularity == .channel:
        (scheme, codes) = (dequantize.scheme, 0)
      default: return nil
      }
      guard let weight = parameter(node.inputs[codes]),
        let scales = parameter(node.inputs[codes + 1])
      else { return nil }
      var inputs = try rewriter.new(node.inputs.prefix(codes))
      let numbers = try rewriter.parameter(
        weight.tensor,
        type(of: node.inputs[codes]).with(dtype: .f32),
        like: node
      )
      let scale = try rewriter.new(node.inputs[codes + 1])
      inputs.append(
        try rewriter.add(
          .roundWeight(RoundWeight(scheme, counting: counting)),
          [numbers, scale],
          like: node
        )
      )
      inputs.append(scale)
      let range = staticRange(of: node)
      if let range {
        inputs += try rewriter.new(range)
        inputs += try rewriter.new(node.inputs.dropFirst(codes + 2 + range.count))
      } else {
        inputs += try rewriter.new(node.inputs.dropFirst(codes + 2))
      }
      if known.insert(weight.tensor).inserted {
        layers.append(
          RoundedLayer(
            path: node.path,
            weight: weight.tensor,
            weightScale: scales.tensor,
            scheme: scheme,
            leader: range?.first.flatMap { parameter($0)?.tensor.module(of: "input_scale") }
          )
        )
      }
      return try rewriter.add(node.op, inputs, like: node)
    }
    return (graph, layers)
  }

  /// The scale and zero point with which the codes that a node reads were made, where they are
  /// parameters.
  private func staticRange(of node: Node) -> [ValueID]? {
    guard case .integerLinear = node.op,
      case .quantize(let quantize) = self.node(of: node.inputs[0]).op, !quantize.scheme.isDynamic
    else { return nil }
    return Array(self.node(of: node.inputs[0]).inputs.dropFirst())
  }
}
