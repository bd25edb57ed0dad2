package import KaratGraphs
import KaratKernels
package import KaratPatterns
package import KaratTensors

/// The `quantization_config` of a model's config.json, as compressed-tensors defines it.
package struct QuantizationConfig: Sendable, Hashable {
  /// Layers that are quantized in one way.
  package struct Group: Sendable, Hashable {
    /// Module names, `re:` and a regular expression, or `Linear` for all linear layers.
    package let targets: [ModulePattern]
    package let weights: Scheme
    /// How what the layers read is quantized, or nil where it stays in floating point.
    package let activations: Scheme?
  }

  package let groups: [Group]
  package let ignored: [ModulePattern]

  package init(groups: [Group], ignored: [ModulePattern]) {
    self.groups = groups
    self.ignored = ignored
  }

  /// The group that a linear layer belongs to, or nil where it stays in floating point.
  ///
  /// A module's own name or expression counts before the name of its class.
  func group(of path: TensorName) -> Group? {
    if ignored.contains(where: { $0.matches(path) }) { return nil }
    return groups.first { $0.targets.contains { $0.matches(path) } }
      ?? groups.first { $0.targets.contains { $0.text == "Linear" } }
  }
}

extension QuantizationConfig {
  /// The graph that runs a checkpoint with this config: integer products where weights and
  /// activations are codes.
  ///
  /// - Throws: `CheckpointError` where scales are missing or are not positive numbers, `GraphError`
  ///   where a layer cannot run as the config says.
  package func applied(
    to graph: Graph,
    source: any TensorSource,
    file: String
  ) throws -> Graph {
    var weights: [Scheme: Set<TensorName>] = [:]
    var activations: [Scheme: [TensorName: TensorName]] = [:]
    var leaders: [ValueID: [QuantizationRange: TensorName]] = [:]
    for layer in graph.linearLayers {
      guard let group = group(of: layer.path) else { continue }
      weights[group.weights, default: []].insert(layer.path)
      guard let scheme = group.activations else { continue }
      if scheme.isDynamic {
        activations[scheme, default: [:]][layer.path] = layer.path
        continue
      }
      let range = try range(of: layer, scheme, source, file)
      let leader = leaders[layer.input]?[range] ?? layer.path
      leaders[layer.input, default: [:]][range] = leader
      activations[scheme, default: [:]][layer.path] = leader
    }
    var result = graph
    for (scheme, layers) in weights.sorted(by: { $0.key.bits > $1.key.bits }) {
      result = try result.withQuantizedWeights(of: layers, scheme)
    }
    for (scheme, leaders) in activations.sorted(by: { $0.value.count > $1.value.count }) {
      result = try result.withQuantizedActivations(leaders: leaders, scheme)
    }
    return result
  }

  /// The scale and zero point of what a layer reads.
  ///
  /// They are read when the model is opened, since layers whose ranges are equal share one
  /// quantization.
  private func range(
    of layer: LinearLayer,
    _ scheme: Scheme,
    _ source: any TensorSource,
    _ file: String
  ) throws(CheckpointError) -> QuantizationRange {
    func single(_ name: TensorName, _ isFit: (DType) -> Bool) throws(CheckpointError) -> Tensor {
      guard let info = source.manifest[name] else {
        throw CheckpointError(
          .missing,
          file: file,
          tensor: name,
          "quantization_config says that this layer's activations are quantized, and their range "
            + "is not there."
        )
      }
      guard info.shape == [1], isFit(info.dtype) else {
        throw CheckpointError(
          .malformed,
          file: file,
          tensor: name,
          "it is \(info.dtype.rawValue) \(info.shape); one number is needed, floating-point for a "
            + "scale and I8 for a zero point."
        )
      }
      return try source.tensor(name)
    }
    let scale = try single(layer.inputScale, \.isRunnable).asFloat32(on: Workers(threads: 1))
      .elements(as: Float.self)[0]
    guard scale.isFinite, scale > 0 else {
      throw CheckpointError(
        .malformed,
        file: file,
        tensor: layer.inputScale,
        "the scale is \(scale); a positive number is needed."
      )
    }
    guard !scheme.isSymmetric else { return QuantizationRange(scale: scale, zeroPoint: 0) }
    let zeroPoint = try single(layer.inputZeroPoint) { $0 == .i8 }.elements(as: Int8.self)[0]
    return QuantizationRange(scale: scale, zeroPoint: zeroPoint)
  }
}
