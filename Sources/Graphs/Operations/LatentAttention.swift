import KaratKernels
import KaratTensors

/// Multi-head latent attention (DeepSeek-AI, 2024): keys and values of all heads are linear maps of
/// one latent for each token, and positions enter by a rotated key that all heads share.
///
/// The content part of queries F32[batch, length, heads · contentSize], their rotated part F32[batch,
/// length, heads · rotarySize], latents F32[batch, length, rank], rotated keys F32[batch, length,
/// rotarySize] and the weight of `kv_b_proj` F32[heads · (contentSize + valueSize), rank], the keys'
/// rows of each head before its values', give F32[batch, length, heads · valueSize].
///
/// A cache holds latents and rotated keys alone: `rank + rotarySize` floats for each token. With
/// few new tokens the weight is absorbed into queries and results; see `LatentAttentionForm`.
public struct LatentAttention: Operation {
  /// How many heads there are.
  public let heads: Int
  /// What the products of queries and keys are multiplied by.
  public let scale: Float

  package init(heads: Int, scale: Float) {
    self.heads = heads
    self.scale = scale
  }

  package var name: String { "latent_attention" }
  package var attributes: [(name: String, value: String)] {
    [("heads", "\(heads)"), ("scale", "\(scale)")]
  }

  /// In the absorbed form the weight never meets the latents, so they cannot be codes.
  package var linearMap: LinearMap? {
    LinearMap(input: 2, weight: 4, bias: nil, takesCodes: false)
  }

  package func resultTypes(of inputs: [ValueType]) throws(GraphError) -> [ValueType] {
    guard inputs.count == 5, inputs.allSatisfy({ $0.dtype == .f32 }), heads > 0,
      inputs.dropLast().allSatisfy({
        $0.extents.count == 3 && $0.extents.dropLast() == inputs[0].extents.dropLast()
      }),
      let content = inputs[0].features, content % heads == 0,
      let rotary = inputs[1].features, let rank = inputs[2].features,
      let shared = inputs[3].features, rotary == shared * heads,
      inputs[4].extents.count == 2, inputs[4].features == rank,
      case .fixed(let mapped) = inputs[4].extents[0], mapped % heads == 0, mapped > content
    else { throw GraphError("\(heads) heads of latent attention do not fit \(inputs).") }
    return [inputs[0].with(features: mapped - content)]
  }

  package func evaluate(_ run: Evaluation) {
    let (latents, rotatedKeys, weight) = (run.inputs[2], run.inputs[3], run.inputs[4])
    let (batch, length) = (run.binding.batch, run.binding.length)
    let (rank, rotarySize) = (latents.features, rotatedKeys.features)
    let rowSize = rank + rotarySize
    withUnsafeTemporaryAllocation(of: Float.self, capacity: batch * length * rowSize) { joined in
      guard let joined = joined.baseAddress else { return }
      copyRows(
        latents.floats,
        stride: rank,
        width: rank,
        count: batch * length,
        to: joined,
        outStride: rowSize
      )
      copyRows(
        rotatedKeys.floats,
        stride: rotarySize,
        width: rotarySize,
        count: batch * length,
        to: joined + rank,
        outStride: rowSize
      )
      var rows = (address: UnsafePointer(joined), stride: length * rowSize)
      if let cache = run.cache {
        let layer = cache.layer(run.place, keySize: rowSize, valueSize: 0)
        let new = Operand(dtype: .f32, shape: [batch, length, rowSize], address: joined)
        layer.append(new, nil, length: length, start: run.binding.start)
        rows = (layer.keys, layer.capacity * rowSize)
      }
      let shape = shape(
        run.inputs,
        batch: batch,
        queries: length,
        keys: run.cache == nil ? length : run.binding.start + length
      )
      latentAttention(
        LatentAttentionOperands(
          content: run.inputs[0].floats,
          rotary: run.inputs[1].floats,
          rows: rows.address,
          rowBatchStride: rows.stride,
          weight: weight.floats
        ),
        shape: shape,
        form: shape.keys == length ? .expanded : shape.cheaperForm,
        out: run.outputs[0].mutableFloats,
        on: run.workers
      )
    }
  }

  private func shape(
    _ inputs: [Operand],
    batch: Int,
    queries: Int,
    keys: Int
  ) -> LatentAttentionShape {
    let contentSize = inputs[0].features / heads
    return LatentAttentionShape(
      batch: batch,
      queries: queries,
      keys: keys,
      heads: heads,
      contentSize: contentSize,
      rotarySize: inputs[3].features,
      valueSize: inputs[4].rows / heads - contentSize,
      rank: inputs[2].features,
      scale: scale
    )
  }

  package var gradientReads: GradientReads? { .allInputs }

  package func differentiate(_ run: Differentiation) {
    let (batch, length) = (run.binding.batch, run.binding.length)
    latentAttentionGradient(
      content: run.inputs[0].floats,
      rotary: run.inputs[1].floats,
      latents: run.inputs[2].floats,
      rotatedKeys: run.inputs[3].floats,
      weight: run.inputs[4].floats,
      shape: shape(run.inputs, batch: batch, queries: length, keys: length),
      gradient: run.gradient().floats,
      addTo: LatentAttentionTargets(
        content: run.target(0),
        rotary: run.target(1),
        latents: run.target(2),
        rotatedKeys: run.target(3),
        weight: run.target(4)
      ),
      on: run.workers
    )
  }
}
