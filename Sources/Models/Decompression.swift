import KaratKernels
package import KaratTensors

extension TensorSource {
  /// The weights of a checkpoint that compressed-tensors describes, as float32 under the same
  /// names, without the scales and zero points.
  ///
  /// A weight is `code · scale` of its row, computed when it is pulled.
  package func decompressed() -> any TensorSource {
    var changes: [TensorName: DerivedTensor] = [:]
    var removed: Set<TensorName> = []
    for name in manifest.names {
      guard let path = name.module(of: "weight"), let info = manifest[name], info.dtype == .i8,
        info.shape.rank == 2, let scale = manifest[path / "weight_scale"],
        scale.dtype.isRunnable, scale.shape == [info.shape[0], 1]
      else { continue }
      removed.formUnion(
        ["weight_scale", "input_scale", "input_zero_point"].map { path / $0 }
      )
      changes[name] = DerivedTensor(TensorInfo(.f32, info.shape)) { () throws(CheckpointError) in
        let codes = try self.tensor(name)
        let scales = try self.tensor(path / "weight_scale").asFloat32(on: .automatic)
        return codes.dequantized(byRows: scales, on: .automatic)
      }
    }
    return overlaid(with: changes, removing: removed)
  }
}

extension TensorName {
  /// The module whose tensor of a given name this is, or nil where it is another one's.
  fileprivate func module(of component: String) -> TensorName? {
    text.hasSuffix("." + component) ? TensorName(String(text.dropLast(component.count + 1))) : nil
  }
}
