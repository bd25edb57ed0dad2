package import KaratTensors

/// A linear layer of a graph: the unit that quantization works on.
package struct LinearLayer: Sendable {
  /// The layer's module in the checkpoint, such as `model.layers.0.self_attn.q_proj`.
  package let path: TensorName
  /// The node's place in the graph.
  package let place: Int
  /// The value that it multiplies.
  package let input: ValueID
  /// The name of its weight [out, in], in floating point or as codes.
  package let weight: TensorName
  /// The name of its bias [out], where it has one.
  package let bias: TensorName?
  /// Which block of the model it is in, or nil.
  package let block: Int?
  /// The type of its weight when it runs.
  package let weightType: ValueType
  /// Whether its weight is codes already.
  package let hasCodes: Bool
  /// Whether the value that it multiplies may become codes with a range of their own.
  ///
  /// It may not where an operation rearranges the product, as latent attention does with
  /// `kv_b_proj`; the weight may become codes all the same.
  package let takesCodes: Bool
  /// Whether a router of experts reads what it gives.
  ///
  /// It is small, and rounding it sends tokens to other experts: passes leave it alone.
  package let isRouter: Bool
  /// Whether it belongs to an expert, which reads only the tokens that a router sends there.
  package let isRouted: Bool
}

extension Graph {
  /// The layers that multiply by a parameter in floating point, or by codes that are dequantized.
  package var linearLayers: [LinearLayer] {
    var routed: Set<ValueID> = []
    for node in nodes {
      if case .route = node.op { routed.insert(node.inputs[0]) }
    }
    return nodes.enumerated().compactMap { place, node in
      guard let map = node.op.operation.linearMap else { return nil }
      let weightNode = self.node(of: node.inputs[map.weight])
      let stored: ValueID
      if case .dequantize = weightNode.op {
        stored = weightNode.inputs[0]
      } else {
        stored = node.inputs[map.weight]
      }
      let bias = map.bias.flatMap { $0 < node.inputs.count ? node.inputs[$0] : nil }
      guard let weight = parameter(stored) else { return nil }
      return LinearLayer(
        path: node.path,
        place: place,
        input: node.inputs[map.input],
        weight: weight.tensor,
        bias: bias.flatMap { parameter($0)?.tensor },
        block: node.block,
        weightType: type(of: node.inputs[map.weight]),
        hasCodes: stored != node.inputs[map.weight],
        takesCodes: map.takesCodes,
        isRouter: routed.contains(ValueID(node: place)),
        isRouted: type(of: node.inputs[map.input]).isRouted
      )
    }
  }

  /// The parameters that more than one node reads, such as an embedding that is also the head.
  package var sharedParameters: Set<TensorName> {
    let readers = readers
    var shared: Set<TensorName> = []
    for (value, places) in readers where places.count > 1 {
      if let parameter = parameter(value) { shared.insert(parameter.tensor) }
    }
    return shared
  }
}

/// The names of a quantized layer's tensors, as compressed-tensors spells them.
extension LinearLayer {
  /// F32[out, 1]: the scale of each output channel.
  package var weightScale: TensorName { path / "weight_scale" }
  /// F32[1]: the scale of the activation it reads.
  package var inputScale: TensorName { Self.inputScale(of: path) }
  /// I8[1]: the zero point of the activation it reads.
  package var inputZeroPoint: TensorName { Self.inputZeroPoint(of: path) }

  static func inputScale(of path: TensorName) -> TensorName { path / "input_scale" }
  static func inputZeroPoint(of path: TensorName) -> TensorName { path / "input_zero_point" }
}

extension Graph {
  /// The graph whose chosen layers read their weights as codes with one scale for each row.
  ///
  /// - Throws: `GraphError` where a rule is broken.
  package func withQuantizedWeights(
    of layers: Set<TensorName>,
    _ scheme: Scheme
  ) throws(GraphError) -> Graph {
    let chosen = chosenLayers(layers)
    return try rewritten { rewriter, node throws(GraphError) in
      guard let map = node.op.operation.linearMap, let layer = chosen[node.path],
        !layer.hasCodes
      else { return nil }
      let type = layer.weightType
      let codes = try rewriter.parameter(layer.weight, type.with(dtype: .i8), like: node)
      let scales = try rewriter.parameter(
        layer.weightScale,
        ValueType(.f32, [type.extents[0], .fixed(1)]),
        like: node
      )
      let weight = try rewriter.add(.dequantize(Dequantize(scheme)), [codes, scales], like: node)
      var inputs: [ValueID] = []
      for (index, input) in node.inputs.enumerated() {
        inputs.append(index == map.weight ? weight : try rewriter.new(input))
      }
      return try rewriter.add(node.op, inputs, like: node)
    }.withIntegerArithmetic()
  }

  /// The graph whose chosen layers read their activations as codes.
  ///
  /// - Parameters:
  ///   - leaders: for each chosen layer, the layer whose scale and zero point the codes are made
  ///     with: layers that read one value and have the same range share one quantization of it.
  ///     Of a dynamic scheme all layers that read one value share it, whatever their leaders.
  ///   - scheme: how numbers become codes.
  /// - Returns: a graph that computes with those codes, in integers where the weights are codes
  ///   too.
  /// - Throws: `GraphError` where a rule is broken, or a chosen layer takes no codes.
  package func withQuantizedActivations(
    leaders: [TensorName: TensorName],
    _ scheme: Scheme
  ) throws(GraphError) -> Graph {
    let chosen = chosenLayers(Set(leaders.keys))
    if let layer = chosen.values.filter({ !$0.takesCodes }).min(by: { $0.place < $1.place }) {
      throw GraphError(
        path: layer.path,
        "what this layer reads must stay in floating point: attention rearranges its product, so "
          + "codes made for it would be used elsewhere. Add it to ignore."
      )
    }
    var codes: [ValueID: [TensorName: ValueID]] = [:]
    return try rewritten { rewriter, node throws(GraphError) in
      guard case .linear = node.op, let layer = chosen[node.path], let leader = leaders[layer.path]
      else { return nil }
      // Two nodes may be one layer, such as a head that layers behind the decoder share.
      let input = node.inputs[0]
      let maker = scheme.isDynamic ? TensorName("") : leader
      let quantized: ValueID
      if let shared = codes[input]?[maker] {
        quantized = shared
      } else {
        let range =
          scheme.isDynamic ? [] : try rewriter.range(of: leader, scheme, like: node)
        let x = try rewriter.new(input)
        quantized = try rewriter.add(.quantize(Quantize(scheme)), [x] + range, like: node)
        codes[input, default: [:]][maker] = quantized
      }
      let range =
        scheme.isDynamic
        ? [ValueID(node: quantized.node, output: 1)]
        : try rewriter.range(of: layer.path, scheme, like: node)
      let x = try rewriter.add(
        .dequantize(Dequantize(scheme)),
        [quantized] + range,
        like: node
      )
      let rest = try rewriter.new(node.inputs.dropFirst())
      return try rewriter.add(node.op, [x] + rest, like: node)
    }.withIntegerArithmetic()
  }

  private func chosenLayers(_ paths: Set<TensorName>) -> [TensorName: LinearLayer] {
    Dictionary(
      linearLayers.filter { paths.contains($0.path) }.map { ($0.path, $0) },
      uniquingKeysWith: { first, _ in first }
    )
  }
}

extension Rewriter {
  /// The scale and, where there is one, the zero point of a layer's activation.
  fileprivate mutating func range(
    of path: TensorName,
    _ scheme: Scheme,
    like node: Node
  ) throws(GraphError) -> [ValueID] {
    let scale = try parameter(LinearLayer.inputScale(of: path), ValueType(.f32, 1), like: node)
    if scheme.isSymmetric { return [scale] }
    return [
      scale, try parameter(LinearLayer.inputZeroPoint(of: path), ValueType(.i8, 1), like: node),
    ]
  }
}
