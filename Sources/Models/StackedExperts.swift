import KaratKernels
import KaratTensors

extension TensorSource {
  /// The experts that are stored as one tensor of all, under the names of single experts.
  ///
  /// `experts.gate_up_proj` [experts, 2 · intermediate, hidden], gate rows first, becomes
  /// `experts.E.gate_proj.weight` and `up_proj.weight`; `experts.down_proj` [experts, hidden,
  /// intermediate] becomes `experts.E.down_proj.weight`. Each is a run of the stack, so pulling one
  /// reads no other. A tensor of another shape or type stays what it is, and is an error later, since
  /// nothing uses it.
  func withSingleExperts() -> any TensorSource {
    var changes: [TensorName: DerivedTensor] = [:]
    var removed: Set<TensorName> = []
    for name in manifest.names {
      guard let (module, parts) = name.stackedExperts, let info = manifest[name],
        info.dtype.isRunnable, info.shape.rank == 3, info.shape.elementCount > 0,
        info.shape[0] <= Self.mostExperts, info.shape[1] % parts.count == 0
      else { continue }
      removed.insert(name)
      let (rows, columns) = (info.shape[1] / parts.count, info.shape[2])
      for expert in 0..<info.shape[0] {
        for (place, part) in parts.enumerated() {
          let first = (expert * parts.count + place) * rows * columns
          changes[module / "\(expert)" / part / "weight"] = DerivedTensor(
            TensorInfo(info.dtype, [rows, columns]),
            isDivisible: isDivisible(name)
          ) { range throws(CheckpointError) in
            try self.elements(first + range.lowerBound..<first + range.upperBound, of: name)
          }
        }
      }
    }
    return changes.isEmpty ? self : overlaid(with: changes, removing: removed)
  }

  /// Beyond any model, and few enough to name.
  private static var mostExperts: Int { 1 << 16 }
}

extension TensorName {
  /// Where a tensor is a stack of experts, the module that they are in, and which of an expert's
  /// layers it holds, one behind the other.
  fileprivate var stackedExperts: (module: TensorName, parts: [String])? {
    for (suffix, parts) in [
      (".gate_up_proj", ["gate_proj", "up_proj"]), (".down_proj", ["down_proj"]),
    ] where text.hasSuffix(".experts" + suffix) {
      return (TensorName(String(text.dropLast(suffix.count))), parts)
    }
    return nil
  }
}
