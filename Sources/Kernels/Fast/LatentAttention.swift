/// The sizes of multi-head latent attention.
package struct LatentAttentionShape: Sendable, Hashable {
  /// Sequences, queries of each, and keys of each.
  package var batch, queries, keys: Int
  /// Heads of queries, which all read the same latents.
  package var heads: Int
  /// Elements of a query that meet the latent, and of those that meet the rotated key.
  package var contentSize, rotarySize: Int
  /// Elements of a value, and of a latent.
  package var valueSize, rank: Int
  /// What scores are multiplied by before softmax.
  package var scale: Float

  /// States all sizes.
  package init(
    batch: Int,
    queries: Int,
    keys: Int,
    heads: Int,
    contentSize: Int,
    rotarySize: Int,
    valueSize: Int,
    rank: Int,
    scale: Float
  ) {
    self.batch = batch
    self.queries = queries
    self.keys = keys
    self.heads = heads
    self.contentSize = contentSize
    self.rotarySize = rotarySize
    self.valueSize = valueSize
    self.rank = rank
    self.scale = scale
  }

  /// Elements of what is kept of a token: its latent, then its rotated key.
  package var rowSize: Int { rank + rotarySize }
  /// Elements of a head's query.
  var querySize: Int { contentSize + rotarySize }
  /// Rows of the weight that belong to one head: keys first, then values.
  var weightRows: Int { contentSize + valueSize }

  /// The form that multiplies less: with few queries over many keys, the absorbed one.
  package var cheaperForm: LatentAttentionForm {
    let absorbed = queries * (2 * keys * rowSize + weightRows * rank)
    let expanded = keys * (queries * (querySize + valueSize) + weightRows * rank)
    return absorbed < expanded ? .absorbed : .expanded
  }

  /// The same queries and keys as attention with plain keys and values.
  func plain(
    heads: Int,
    keyValueHeads: Int,
    headSize: Int,
    valueHeadSize: Int
  ) -> AttentionShape {
    AttentionShape(
      batch: 1,
      queries: queries,
      keys: keys,
      heads: heads,
      keyValueHeads: keyValueHeads,
      headSize: headSize,
      valueHeadSize: valueHeadSize,
      scale: scale,
      causal: true,
      window: nil
    )
  }
}

/// How latent attention is computed; both forms give the same numbers up to rounding.
package enum LatentAttentionForm: Sendable, CaseIterable {
  /// Keys and values are made of the latents, and attended to head by head.
  case expanded
  /// Queries are taken to the latents' space and attend there, all heads to the same rows; the
  /// weighted latents are taken to values in the end.
  case absorbed
}

/// The operands of latent attention in memory.
package struct LatentAttentionOperands {
  /// Parts of queries: [batch, queries, heads, contentSize] and […, rotarySize], the latter rotated.
  let content, rotary: UnsafePointer<Float>
  /// Latent and rotated key of each token [keys, rank + rotarySize], for each sequence.
  let rows: UnsafePointer<Float>
  /// Elements from one sequence's rows to the next's.
  let rowBatchStride: Int
  /// [heads, contentSize + valueSize, rank].
  let weight: UnsafePointer<Float>

  /// States where all operands lie.
  package init(
    content: UnsafePointer<Float>,
    rotary: UnsafePointer<Float>,
    rows: UnsafePointer<Float>,
    rowBatchStride: Int,
    weight: UnsafePointer<Float>
  ) {
    self.content = content
    self.rotary = rotary
    self.rows = rows
    self.rowBatchStride = rowBatchStride
    self.weight = weight
  }
}

/// Attends causally to keys and values that are linear maps of latents (DeepSeek-AI, 2024):
/// key = [weight_K · latent, rotated key], value = weight_V · latent.
///
/// out is [batch, queries, heads, valueSize].
package func latentAttention(
  _ operands: LatentAttentionOperands,
  shape: LatentAttentionShape,
  form: LatentAttentionForm,
  out: UnsafeMutablePointer<Float>,
  on workers: Workers
) {
  for sequence in 0..<shape.batch {
    let call = LatentAttentionCall(operands, sequence: sequence, shape: shape, out: out)
    switch form {
    case .expanded: call.runExpanded(on: workers)
    case .absorbed: call.runAbsorbed(on: workers)
    }
  }
}

/// One sequence.
private struct LatentAttentionCall {
  let content, rotary, rows, weight: UnsafePointer<Float>
  let out: UnsafeMutablePointer<Float>
  let shape: LatentAttentionShape

  init(
    _ operands: LatentAttentionOperands,
    sequence: Int,
    shape: LatentAttentionShape,
    out: UnsafeMutablePointer<Float>
  ) {
    let first = sequence * shape.queries * shape.heads
    content = operands.content + first * shape.contentSize
    rotary = operands.rotary + first * shape.rotarySize
    rows = operands.rows + sequence * operands.rowBatchStride
    weight = operands.weight
    self.out = out + first * shape.valueSize
    self.shape = shape
  }

  /// Heads in groups, so that memory is bounded: keys and values of all heads of DeepSeek-V3 take
  /// 0.2 MB for each token.
  func runExpanded(on workers: Workers) {
    let perHead =
      shape.keys * (shape.weightRows + shape.querySize + shape.valueSize)
      + shape.queries * (shape.querySize + shape.valueSize)
    let width = min(shape.heads, max(1, (1 << 24) / max(1, perHead)))
    withScratch(shape.keys * shape.rank + width * perHead) { scratch in
      copyRows(rows, stride: shape.rowSize, width: shape.rank, count: shape.keys, to: scratch)
      for first in stride(from: 0, to: shape.heads, by: width) {
        expand(
          heads: first..<min(first + width, shape.heads),
          latents: scratch,
          scratch: scratch + shape.keys * shape.rank,
          on: workers
        )
      }
    }
  }

  private func expand(
    heads: Range<Int>,
    latents: UnsafePointer<Float>,
    scratch: UnsafeMutablePointer<Float>,
    on workers: Workers
  ) {
    let (count, content) = (heads.count, shape.contentSize)
    let both = scratch
    let keys = both + shape.keys * count * shape.weightRows
    let values = keys + shape.keys * count * shape.querySize
    let queries = values + shape.keys * count * shape.valueSize
    let result = queries + shape.queries * count * shape.querySize
    linear(
      x: latents,
      rows: shape.keys,
      inFeatures: shape.rank,
      weight: weight + heads.lowerBound * shape.weightRows * shape.rank,
      outFeatures: count * shape.weightRows,
      bias: nil,
      out: both,
      on: workers
    )
    workers.forEachRun(of: max(1, elementsPerTile / (count * shape.querySize)), in: shape.keys) {
      for key in $0 {
        for head in 0..<count {
          let place = key * count + head
          let source = both + place * shape.weightRows
          let target = keys + place * shape.querySize
          target.update(from: source, count: content)
          (target + content)
            .update(from: rows + key * shape.rowSize + shape.rank, count: shape.rotarySize)
          (values + place * shape.valueSize)
            .update(from: source + content, count: shape.valueSize)
        }
      }
    }
    for query in 0..<shape.queries {
      for head in 0..<count {
        let target = queries + (query * count + head) * shape.querySize
        let place = query * shape.heads + heads.lowerBound + head
        target.update(from: self.content + place * content, count: content)
        (target + content)
          .update(from: rotary + place * shape.rotarySize, count: shape.rotarySize)
      }
    }
    attention(
      q: queries,
      k: keys,
      v: values,
      shape: shape.plain(
        heads: count,
        keyValueHeads: count,
        headSize: shape.querySize,
        valueHeadSize: shape.valueSize
      ),
      keyBatchStride: 0,
      valueBatchStride: 0,
      out: result,
      on: workers
    )
    for query in 0..<shape.queries {
      (out + (query * shape.heads + heads.lowerBound) * shape.valueSize)
        .update(from: result + query * count * shape.valueSize, count: count * shape.valueSize)
    }
  }

  /// All heads attend to rows of latent and rotated key.
  ///
  /// Sums over whole rows serve as values, so that keys and values are the same memory; their rotated
  /// part is left out in the end.
  func runAbsorbed(on workers: Workers) {
    let (heads, size) = (shape.heads, shape.rowSize)
    withScratch(2 * shape.queries * heads * size) { queries in
      let sums = queries + shape.queries * heads * size
      workers.forEachTile(heads) { head in
        BLAS.multiply(
          BLAS.Factor(
            pointer: content + head * shape.contentSize,
            stride: heads * shape.contentSize
          ),
          BLAS.Factor(pointer: weight + head * shape.weightRows * shape.rank, stride: shape.rank),
          m: shape.queries,
          n: shape.rank,
          k: shape.contentSize,
          beta: 0,
          into: queries + head * size,
          stride: heads * size
        )
        for query in 0..<shape.queries {
          let place = query * heads + head
          (queries + place * size + shape.rank)
            .update(from: rotary + place * shape.rotarySize, count: shape.rotarySize)
        }
      }
      attention(
        q: queries,
        k: rows,
        v: rows,
        shape: shape.plain(heads: heads, keyValueHeads: 1, headSize: size, valueHeadSize: size),
        keyBatchStride: 0,
        valueBatchStride: 0,
        out: sums,
        on: workers
      )
      workers.forEachTile(heads) { head in
        BLAS.multiply(
          BLAS.Factor(pointer: sums + head * size, stride: heads * size),
          BLAS.Factor(
            pointer: weight + (head * shape.weightRows + shape.contentSize) * shape.rank,
            stride: shape.rank,
            transposed: true
          ),
          m: shape.queries,
          n: shape.valueSize,
          k: shape.rank,
          beta: 0,
          into: out + head * shape.valueSize,
          stride: heads * shape.valueSize
        )
      }
    }
  }
}

/// Copies `width` elements of each of `count` rows that lie `stride` apart: out [count, width].
package func copyRows(
  _ x: UnsafePointer<Float>,
  stride: Int,
  width: Int,
  count: Int,
  to out: UnsafeMutablePointer<Float>,
  outStride: Int? = nil
) {
  for row in 0..<count {
    (out + row * (outStride ?? width)).update(from: x + row * stride, count: width)
  }
}
