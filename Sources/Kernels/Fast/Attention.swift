import CKernels

/// What queries attend to, and how large everything is.
package struct AttentionShape: Sendable, Hashable {
  /// Sequences, queries of each, and keys (and values) of each.
  package var batch, queries, keys: Int
  /// Heads of queries, a multiple of the heads of keys and values.
  package var heads, keyValueHeads: Int
  /// Elements of a query or key, and of a value.
  package var headSize, valueHeadSize: Int
  /// What scores are multiplied by before softmax.
  package var scale: Float
  /// Whether a query at position p sees no key beyond p.
  package var causal: Bool
  /// If set, a query at position p sees no key at or below p - window.
  package var window: Int?

  /// States all sizes.
  package init(
    batch: Int,
    queries: Int,
    keys: Int,
    heads: Int,
    keyValueHeads: Int,
    headSize: Int,
    valueHeadSize: Int,
    scale: Float,
    causal: Bool,
    window: Int?
  ) {
    precondition(
      keyValueHeads > 0 && heads % keyValueHeads == 0,
      "heads of queries must be a multiple of heads of keys"
    )
    precondition(window.map { $0 > 0 } ?? true, "a window holds at least one key")
    self.batch = batch
    self.queries = queries
    self.keys = keys
    self.heads = heads
    self.keyValueHeads = keyValueHeads
    self.headSize = headSize
    self.valueHeadSize = valueHeadSize
    self.scale = scale
    self.causal = causal
    self.window = window
  }

  /// Heads of queries that share one head of keys.
  var group: Int { heads / keyValueHeads }

  /// The keys that query `query`, which stands at position keys - queries + query, sees.
  func visibleKeys(of query: Int) -> Range<Int> {
    let end = max(0, keys - queries + query + 1)
    let upper = causal ? min(keys, end) : keys
    let lower = window.map { max(0, end - $0) } ?? 0
    return min(lower, upper)..<upper
  }

  func kernelShape(mask: UnsafePointer<Int32>?) -> karat_attention {
    karat_attention(
      queries: queries,
      keys: keys,
      heads: heads,
      key_value_heads: keyValueHeads,
      head_size: headSize,
      value_size: valueHeadSize,
      scale: scale,
      causal: causal,
      window: window ?? 0,
      mask: mask
    )
  }
}

/// Attends: out = softmax(scale · q · kᵀ, over the keys a query sees) · v.
///
/// q is [batch, queries, heads, headSize], out [batch, queries, heads, valueHeadSize]; k and v hold
/// [keys, keyValueHeads, headSize or valueHeadSize] for each sequence, `keyBatchStride` and
/// `valueBatchStride` elements apart. A key whose number in `mask` [batch, keys] is 0 is seen by no
/// query; nil hides none. A query that sees no key gives zeros. Memory is linear in the number of
/// keys.
package func attention(
  q: UnsafePointer<Float>,
  k: UnsafePointer<Float>,
  v: UnsafePointer<Float>,
  shape: AttentionShape,
  keyBatchStride: Int,
  valueBatchStride: Int,
  mask: UnsafePointer<Int32>? = nil,
  out: UnsafeMutablePointer<Float>,
  on workers: Workers
) {
  let call = AttentionCall(
    q: q,
    k: k,
    v: v,
    shape: shape,
    keyBatchStride: keyBatchStride,
    valueBatchStride: valueBatchStride,
    mask: mask,
    out: out
  )
  // Packing pays when enough rows of queries share a block of keys.
  if shape.queries * shape.group < 16 {
    call.runRows(on: workers)
  } else {
    call.runBlocks(on: workers)
  }
}

private struct AttentionCall {
  let q, k, v: UnsafePointer<Float>
  let shape: AttentionShape
  let keyBatchStride, valueBatchStride: Int
  let mask: UnsafePointer<Int32>?
  let out: UnsafeMutablePointer<Float>

  /// Where one head of keys of one sequence, and the group of queries that sees it, begin.
  func pointers(
    sequence: Int,
    head: Int
  ) -> (
    q: UnsafePointer<Float>, k: UnsafePointer<Float>, v: UnsafePointer<Float>,
    out: UnsafeMutablePointer<Float>
  ) {
    let firstQuery = sequence * shape.queries * shape.heads + head * shape.group
    return (
      q + firstQuery * shape.headSize,
      k + sequence * keyBatchStride + head * shape.headSize,
      v + sequence * valueBatchStride + head * shape.valueHeadSize,
      out + firstQuery * shape.valueHeadSize
    )
  }

  /// What the kernels need to know of one sequence.
  func kernelShape(sequence: Int) -> karat_attention {
    shape.kernelShape(mask: mask.map { $0 + sequence * shape.keys })
  }

  /// One query of one group at a time, on keys and values as they lie.
  func runRows(on workers: Workers) {
    let rows = shape.batch * shape.keyValueHeads * shape.queries
    let work = max(1, shape.keys * shape.headSize * shape.group)
    workers.forEachRun(of: max(1, elementsPerTile / work), in: rows) { run in
      withScratch(shape.keys) { scratch in
        for row in run {
          let query = row % shape.queries
          let group = row / shape.queries
          let at = pointers(
            sequence: group / shape.keyValueHeads,
            head: group % shape.keyValueHeads
          )
          withUnsafePointer(to: kernelShape(sequence: group / shape.keyValueHeads)) {
            kernels.attention_row($0, at.q, query, at.k, at.v, at.out, scratch)
          }
        }
      }
    }
  }

  /// Blocks of queries over packed blocks of keys.
  func runBlocks(on workers: Workers) {
    let block = Int(KARAT_KEY_BLOCK)
    let step = Int(KARAT_VALUE_STEP)
    let blocks = (shape.keys + block - 1) / block
    let keyBlock = block * shape.headSize
    let valueBlock = block * ((shape.valueHeadSize + step - 1) / step * step)
    let groups = shape.batch * shape.keyValueHeads
    let queryBlock = max(1, 96 / shape.group)
    let queryBlocks = (shape.queries + queryBlock - 1) / queryBlock

    withScratch(groups * blocks * (keyBlock + valueBlock)) { packedKeys in
      let packedValues = packedKeys + groups * blocks * keyBlock
      workers.forEachRun(of: max(1, elementsPerTile / (keyBlock + valueBlock)), in: groups * blocks)
      { run in
        for tile in run {
          let group = tile / blocks
          let first = tile % blocks * block
          let at = pointers(
            sequence: group / shape.keyValueHeads,
            head: group % shape.keyValueHeads
          )
          let keyStride = shape.keyValueHeads * shape.headSize
          let valueStride = shape.keyValueHeads * shape.valueHeadSize
          let count = min(block, shape.keys - first)
          kernels.pack_keys(
            at.k + first * keyStride,
            count,
            keyStride,
            shape.headSize,
            packedKeys + tile * keyBlock
          )
          kernels.pack_values(
            at.v + first * valueStride,
            count,
            valueStride,
            shape.valueHeadSize,
            packedValues + tile * valueBlock
          )
        }
      }
      workers.forEachTile(groups * queryBlocks) { tile in
        // The last queries see the most keys: they go first, so that no thread ends late.
        let first = (queryBlocks - 1 - tile / groups) * queryBlock
        let group = tile % groups
        let at = pointers(
          sequence: group / shape.keyValueHeads,
          head: group % shape.keyValueHeads
        )
        withUnsafePointer(to: kernelShape(sequence: group / shape.keyValueHeads)) { kernelShape in
          withScratch(kernels.attention_scratch(kernelShape, queryBlock)) { scratch in
            kernels.attention_tile(
              kernelShape,
              at.q,
              first,
              min(queryBlock, shape.queries - first),
              packedKeys + group * blocks * keyBlock,
              packedValues + group * blocks * valueBlock,
              at.out,
              scratch
            )
          }
        }
      }
    }
  }
}
