import KaratKernels
package import KaratTensors

extension Graph {
  /// Checks that the graph is what its operations' rules make of it; run after every pass.
  ///
  /// - Throws: `GraphError` naming the module.
  package func check() throws(GraphError) {
    for (place, node) in nodes.enumerated() {
      for input in node.inputs {
        guard input.node < place, nodes[input.node].types.indices.contains(input.output) else {
          throw GraphError(
            path: node.path,
            "operation \(place) reads a value that does not come before it."
          )
        }
      }
      let types: [ValueType]
      do {
        types = try node.op.operation.resultTypes(of: node.inputs.map { type(of: $0) })
      } catch {
        throw GraphError(path: node.path, error.message)
      }
      guard types == node.types else {
        throw GraphError(
          path: node.path,
          "operation \(place) says it gives \(node.types); by its rule it gives \(types)."
        )
      }
    }
  }

  /// Checks that a source has what the graph's parameters need, with their types and shapes.
  ///
  /// - Parameters:
  ///   - manifest: what the source holds.
  ///   - file: the source's name in messages.
  ///   - isSpare: whether a tensor that the graph does not read may be there all the same.
  /// - Throws: `CheckpointError` naming the first tensor that is missing, does not fit, or is not
  ///   used by anything.
  package func check(
    against manifest: Manifest,
    file: String,
    isSpare: (TensorName) -> Bool
  ) throws(CheckpointError) {
    var used: Set<TensorName> = []
    for (name, type) in parameters {
      used.insert(name)
      let shape = type.shape(Binding(batch: 0, length: 0))
      guard let info = manifest[name] else {
        throw CheckpointError(
          .missing,
          file: file,
          tensor: name,
          "the architecture needs this tensor, \(type.dtype.rawValue) \(shape), and the checkpoint "
            + "lacks it. Is a shard missing, or the config another model's?"
        )
      }
      guard info.shape == shape else {
        throw CheckpointError(
          .malformed,
          file: file,
          tensor: name,
          "its shape is \(info.shape); the config asks for \(shape)."
        )
      }
      guard type.dtype == .f32 ? info.dtype.isRunnable : info.dtype == type.dtype else {
        throw CheckpointError(
          .malformed,
          file: file,
          tensor: name,
          "its type is \(info.dtype.rawValue); the config asks for "
            + "\(type.dtype == .f32 ? "a floating-point type" : type.dtype.rawValue)."
        )
      }
    }
    if let unused = manifest.names.first(where: { !used.contains($0) && !isSpare($0) }) {
      let count = manifest.names.count { !used.contains($0) && !isSpare($0) }
      throw CheckpointError(
        .unsupported,
        file: file,
        tensor: unused,
        "the architecture does not use this tensor\(count > 1 ? " and \(count - 1) others" : ""), "
          + "so running without it would compute something else. Is the config another model's?"
      )
    }
  }
}
