import KaratKernels
import KaratTensors

/// Scaled dot-product attention over heads laid side by side, fused: softmax(q · kᵀ · scale) · v
/// (Vaswani et al., 2017), with grouped key and value heads (Ainslie et al., 2023).
///
/// q F32[batch, length, heads · headSize], k and v F32[batch, length, keyValueHeads · headSize]
/// give F32[batch, length, heads · headSize]. A mask I32[batch, length] may follow: no token sees one
/// whose number is 0. Memory is linear in the length.
public struct Attention: Operation {
  /// How many query heads there are.
  public let heads: Int
  /// How many key and value heads; each serves `heads / keyValueHeads` query heads.
  public let keyValueHeads: Int
  /// What the products of queries and keys are multiplied by.
  public let scale: Float
  /// Whether a token sees only itself and those before it.
  public let isCausal: Bool
  /// How many tokens back a token sees, itself included, or nil for all.
  public let window: Int?

  package init(heads: Int, keyValueHeads: Int, scale: Float, isCausal: Bool, window: Int? = nil) {
    self.heads = heads
    self.keyValueHeads = keyValueHeads
    self.scale = scale
    self.isCausal = isCausal
    self.window = window
  }

  package var name: String { "attention" }
  package var attributes: [(name: String, value: String)] {
    [("heads", "\(heads)"), ("key_value_heads", "\(keyValueHeads)"), ("scale", "\(scale)")]
      + (isCausal ? [("causal", "true")] : []) + (window.map { [("window", "\($0)")] } ?? [])
  }

  package func resultTypes(of inputs: [ValueType]) throws(GraphError) -> [ValueType] {
    guard [3, 4].contains(inputs.count),
      inputs.prefix(3).allSatisfy({ $0.dtype == .f32 && $0.extents.count == 3 }),
      inputs.prefix(3).allSatisfy({ $0.extents.dropLast() == inputs[0].extents.dropLast() }),
      inputs.count == 3 || inputs[3] == ValueType(.i32, Array(inputs[0].extents.dropLast())),
      heads > 0, keyValueHeads > 0, heads % keyValueHeads == 0,
      let queries = inputs[0].features, let keys = inputs[1].features,
      let values = inputs[2].features, queries % heads == 0, keys % keyValueHeads == 0,
      values % keyValueHeads == 0, queries / heads == keys / keyValueHeads
    else {
      throw GraphError(
        "\(heads) query heads over \(keyValueHeads) key and value heads do not fit \(inputs)."
      )
    }
    return [inputs[0].with(features: values / keyValueHeads * heads)]
  }

  package func evaluate(_ run: Evaluation) {
    let (q, k, v) = (run.inputs[0], run.inputs[1], run.inputs[2])
    let (batch, length) = (run.binding.batch, run.binding.length)
    var keys = (address: k.floats, stride: length * k.features)
    var values = (address: v.floats, stride: length * v.features)
    var keyCount = length
    let mask = run.inputs.count == 4 ? run.inputs[3].ids : nil
    if let cache = run.cache {
      precondition(mask == nil, "tokens in a cache have no mask")
      let layer = cache.layer(
        run.place,
        keySize: k.features,
        valueSize: v.features,
        window: window
      )
      layer.append(k, v, length: length, start: run.binding.start)
      keys = (layer.keys, layer.capacity * k.features)
      values = (layer.values, layer.capacity * v.features)
      keyCount = layer.count
    }
    attention(
      q: q.floats,
      k: keys.address,
      v: values.address,
      shape: shape(
        k,
        v,
        batch: batch,
        queries: length,
        keys: keyCount
      ),
      keyBatchStride: keys.stride,
      valueBatchStride: values.stride,
      mask: mask,
      out: run.outputs[0].mutableFloats,
      on: run.workers
    )
  }

  private func shape(
    _ k: Operand,
    _ v: Operand,
    batch: Int,
    queries: Int,
    keys: Int
  ) -> AttentionShape {
    AttentionShape(
      batch: batch,
      queries: queries,
      keys: keys,
      heads: heads,
      keyValueHeads: keyValueHeads,
      headSize: k.features / keyValueHeads,
      valueHeadSize: v.features / keyValueHeads,
      scale: scale,
      causal: isCausal,
      window: window
    )
  }

  package var gradientReads: GradientReads? { .allInputs }

  package func differentiate(_ run: Differentiation) {
    let (q, k, v) = (run.inputs[0], run.inputs[1], run.inputs[2])
    attentionGradient(
      q: q.floats,
      k: k.floats,
      v: v.floats,
      shape: shape(
        k,
        v,
        batch: run.binding.batch,
        queries: run.binding.length,
        keys: run.binding.length
      ),
      mask: run.inputs.count == 4 ? run.inputs[3].ids : nil,
      gradient: run.gradient().floats,
      addToQ: run.target(0),
      addToK: run.target(1),
      addToV: run.target(2),
      on: run.workers
    )
  }
}
