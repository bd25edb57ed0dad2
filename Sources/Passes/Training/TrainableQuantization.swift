package import KaratEngine
package import KaratGraphs
package import KaratKernels
package import KaratTensors

/// A quantized model on its way through training: weights in floating point that are rounded whenever
/// they are read, and scales and zero points beside them.
package final class TrainableQuantization {
  package let graph: Graph
  let layers: [RoundedLayer]
  package let parameters: ParameterSet
  private let scales: Set<TensorName>
  private let zeroPoints: Set<TensorName>
  private let smallest: [TensorName: Float]
  /// The smallest and largest number of each observed activation, averaged, and whether any was seen.
  private let averages: [TensorName: ParameterSet.Item]
  /// Whether observed ranges stay as they are.
  var isFrozen = false

  /// Prepares a quantized model.
  ///
  /// - Parameters:
  ///   - model: its graph computes with codes; its weights learn from where they were before they
  ///     were rounded, where that is known.
  ///   - counting: which numbers the gradients of scales count.
  ///   - block: the block whose parameters learn, and are in memory alone, or nil for all.
  ///   - workers: the threads.
  ///   - isTrained: whether a parameter that is no range learns.
  ///   - isRangeTrained: whether scales and zero points do.
  /// - Throws: `GraphError` where a rule is broken, `CheckpointError` where a parameter cannot be
  ///   pulled.
  package init(
    _ model: Model,
    counting: ScaleGradient,
    block: Int? = nil,
    on workers: Workers,
    isTrained: (TensorName, Graph) -> Bool,
    isRangeTrained: () -> Bool
  ) throws {
    let (graph, all) = try model.graph.withRoundedWeights(counting: counting)
    let wanted = block.map { graph.parameters(ofBlock: $0) }
    let layers = all.filter { wanted?.contains($0.weight) ?? true }
    let activations = Set(layers.compactMap(\.leader))
    let scales = Set(layers.map(\.weightScale)).union(activations.map { $0 / "input_scale" })
    // Symmetric ranges have none.
    let zeroPoints = Set(activations.map { $0 / "input_zero_point" })
      .intersection(graph.parameters.map(\.name))
    let isRangeTrained = isRangeTrained()
    let ranges = scales.union(zeroPoints)
    let parameters = try ParameterSet(
      graph,
      try Self.weights(of: layers, in: model, on: workers),
      only: wanted,
      on: workers
    ) { name in
      ranges.contains(name) ? isRangeTrained : isTrained(name, graph)
    }
    var smallest: [TensorName: Float] = [:]
    for item in parameters.items where scales.contains(item.name) {
      smallest[item.name] = max((item.numbers.min() ?? 0) / 10_000, .leastNormalMagnitude)
    }
    averages = Dictionary(
      uniqueKeysWithValues: activations.map { layer in
        (layer, ParameterSet.Item(layer / "observed_range", zeros: [3]))
      }
    )
    self.graph = graph
    self.layers = layers
    self.parameters = parameters
    self.scales = scales
    self.zeroPoints = zeroPoints
    self.smallest = smallest
  }

  /// The source with floating-point weights in place of codes.
  private static func weights(
    of layers: [RoundedLayer],
    in model: Model,
    on workers: Workers
  ) throws(CheckpointError) -> any TensorSource {
    let source = model.source
    var changes: [TensorName: DerivedTensor] = [:]
    for layer in layers {
      guard let info = source.manifest[layer.weight] else { continue }
      changes[layer.weight] = DerivedTensor(TensorInfo(.f32, info.shape)) {
        () throws(CheckpointError) in
        if let unrounded = model.unrounded, unrounded.manifest[layer.weight] != nil {
          return try unrounded.tensor(layer.weight).asFloat32(on: workers)
        }
        let scales = try source.tensor(layer.weightScale).asFloat32(on: workers)
        return try source.tensor(layer.weight).dequantized(byRows: scales, on: workers)
      }
    }
    return source.overlaid(with: changes)
  }

  /// How fast parameters learn beside the others, at the highest rate.
  struct Rates {
    /// By what part of a code's step a rounded weight changes; 0 for the rate of all others.
    var codes: Double
    /// By what part of themselves scales change; zero points by that part of half of the codes.
    var ranges: Double
    /// By what part of itself a channel's factor changes, of each place by its name.
    var channels: [TensorName: Double]
  }

  /// How fast each parameter learns, as a multiple of the highest rate of the others.
  func groups(_ rates: Rates, learningRate: Double) -> ParameterGroups {
    var groups = ParameterGroups()
    let decays = groups.decays
    groups.decays = { [scales] in
      !scales.contains($0.name) && rates.channels[$0.name] == nil && decays($0)
    }
    let steps = Dictionary(
      layers.map { ($0.weight, parameters[$0.weightScale]) },
      uniquingKeysWith: { first, _ in first }
    )
    groups.rateFactor = { [scales, zeroPoints] item in
      if scales.contains(item.name) { return rates.ranges * item.mean / learningRate }
      if zeroPoints.contains(item.name) { return rates.ranges * 128 / learningRate }
      if let rate = rates.channels[item.name] { return rate / learningRate }
      guard rates.codes > 0, let step = steps[item.name] else { return 1 }
      return rates.codes * step.mean / learningRate
    }
    return groups
  }

  /// Keeps scales positive and zero points among the codes.
  func mendRanges() {
    for item in parameters.items {
      if let least = smallest[item.name] {
        for index in 0..<item.count { item.values[index] = max(item.values[index], least) }
      } else if zeroPoints.contains(item.name) {
        for index in 0..<item.count {
          item.values[index] = min(max(item.values[index], -128), 127)
        }
      }
    }
  }

  // MARK: Observed ranges

  /// The values whose ranges follow what is observed, with the layer that each range belongs to.
  var observed: [ValueID: TensorName] {
    var observed: [ValueID: TensorName] = [:]
    for node in graph.nodes {
      guard case .quantize(let quantize) = node.op, !quantize.scheme.isDynamic,
        let scale = graph.parameter(node.inputs[1]),
        let layer = scale.tensor.module(of: "input_scale")
      else { continue }
      observed[node.inputs[0]] = layer
    }
    return observed
  }

  /// Lets a range follow the numbers of a batch: a moving average with weight 0.01 on the newest.
  func observe(_ layer: TensorName, _ numbers: Operand) {
    guard !isFrozen else { return }
    let found = minMax(numbers.floats, count: numbers.count)
    guard found.finite else { return }
    guard let average = averages[layer]?.values else { return }
    if average[2] == 0 { (average[0], average[1], average[2]) = (found.min, found.max, 1) }
    average[0] += 0.01 * (found.min - average[0])
    average[1] += 0.01 * (found.max - average[1])
    let range = QuantizationRange(spanning: average[0], average[1])
    guard zeroPoints.contains(layer / "input_zero_point") else {
      parameters[layer / "input_scale"].values[0] = range.symmetric.scale
      return
    }
    parameters[layer / "input_scale"].values[0] = range.scale
    parameters[layer / "input_zero_point"].values[0] = Float(range.zeroPoint)
  }

  /// What observed ranges depend on: averages, and the ranges that follow them.
  var remembered: [ParameterSet.Item] {
    averages.sorted { $0.key < $1.key }.flatMap { layer, average in
      [average]
        + [layer / "input_scale", layer / "input_zero_point"]
        .filter { scales.contains($0) || zeroPoints.contains($0) }.map { parameters[$0] }
    }
  }

  // MARK: What was trained

  /// The integer model with what was learned in it.
  func model(from original: Model) -> Model {
    var model = original
    // Where weights were before they were rounded is not where they are now.
    model.unrounded = nil
    model.source = original.source.overlaid(with: learned(in: original.source.manifest))
    return model
  }

  /// What was learned, as the integer model holds it.
  func learned(in manifest: Manifest) -> [TensorName: DerivedTensor] {
    var changes: [TensorName: DerivedTensor] = [:]
    var codes: Set<TensorName> = []
    for layer in layers {
      let (weight, scale) = (parameters[layer.weight], parameters[layer.weightScale])
      codes.insert(layer.weight)
      // Factors of channels move it, whether it learns or not.
      changes[layer.weightScale] = DerivedTensor(scale.stored)
      changes[layer.weight] = DerivedTensor(
        Tensor(.i8, weight.shape) { bytes in
          guard let out = bytes.baseAddress?.assumingMemoryBound(to: Int8.self) else { return }
          quantizeRows(
            weight: weight.values,
            rows: weight.shape[0],
            columns: weight.shape[1],
            scales: scale.values,
            limit: layer.scheme.limit,
            out: out,
            on: .automatic
          )
        }
      )
      guard let leader = layer.leader else { continue }
      for name in ["input_scale", "input_zero_point"]
      where manifest[layer.path / name] != nil && parameters.contains(leader / name) {
        changes[layer.path / name] = DerivedTensor(parameters[leader / name].stored)
      }
    }
    let changed =
      parameters.trained + remembered.filter { manifest[$0.name] != nil }
    for item in changed where !codes.contains(item.name) && changes[item.name] == nil {
      changes[item.name] = DerivedTensor(item.stored)
    }
    return changes
  }
}

extension ParameterSet.Item {
  fileprivate var mean: Double { numbers.reduce(0) { $0 + Double($1) } / Double(max(count, 1)) }

  fileprivate var numbers: UnsafeBufferPointer<Float> {
    UnsafeBufferPointer(start: values, count: count)
  }

  /// The numbers as a checkpoint holds them.
  fileprivate var stored: Tensor {
    let operand = operand
    return operand.copied()
  }
}

extension Graph {
  /// The parameters that a block reads.
  fileprivate func parameters(ofBlock block: Int) -> Set<TensorName> {
    Set(
      nodes.lazy.filter { $0.block == block }.flatMap(\.inputs).compactMap {
        self.parameter($0)?.tensor
      }
    )
  }

  /// Whether a parameter is a table of embeddings or the weight of the head.
  func isEmbeddingOrHead(_ name: TensorName) -> Bool {
    if let logits = named["logits"],
      node(of: logits).inputs.contains(where: { parameter($0)?.tensor == name })
    {
      return true
    }
    return nodes.contains { node in
      guard case .embedding = node.op else { return false }
      return parameter(node.inputs[1])?.tensor == name
    }
  }
}
