package import KaratTensors

extension TensorSource {
  /// The tensors under the names that transformers gives them now.
  ///
  /// Checkpoints of BERT that came from TensorFlow call the weight and bias of a `LayerNorm` `gamma` and
  /// `beta`; what passes make of them is written under the names of today, which every reader knows.
  package func withPresentNames() -> any TensorSource {
    var changes: [TensorName: DerivedTensor] = [:]
    var removed: Set<TensorName> = []
    for name in manifest.names {
      guard let present = name.present, manifest[present] == nil, let info = manifest[name] else {
        continue
      }
      removed.insert(name)
      changes[present] = DerivedTensor(info, isDivisible: isDivisible(name)) {
        range throws(CheckpointError) in try self.elements(range, of: name)
      }
    }
    return changes.isEmpty ? self : overlaid(with: changes, removing: removed)
  }
}

extension TensorName {
  /// The name of today, or nil where this is it.
  fileprivate var present: TensorName? {
    for (former, present) in [("gamma", "weight"), ("beta", "bias")] {
      let suffix = ".LayerNorm." + former
      if text.hasSuffix(suffix) {
        return TensorName(text.dropLast(former.count) + present)
      }
    }
    return nil
  }
}
