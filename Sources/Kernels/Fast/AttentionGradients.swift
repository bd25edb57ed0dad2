import CKernels

/// Adds the gradients of attention, as `attention` has it, on contiguous keys and values.
///
/// q is [batch, queries, heads, headSize], k [batch, keys, keyValueHeads, headSize], v [batch, keys,
/// keyValueHeads, valueHeadSize], `gradient` that of the result [batch, queries, heads, valueHeadSize],
/// and the targets are shaped as q, k and v; nil where a gradient is not wanted. A key whose number in
/// `mask` [batch, keys] is 0 is seen by no query. A query that sees no key gives no gradient.
///
/// Weights are computed anew, for a strip of queries of one head at a time. Memory is linear in the
/// number of keys: that of the strips, and gradients of keys and values for each head of queries.
package func attentionGradient(
  q: UnsafePointer<Float>,
  k: UnsafePointer<Float>,
  v: UnsafePointer<Float>,
  shape: AttentionShape,
  mask: UnsafePointer<Int32>? = nil,
  gradient: UnsafePointer<Float>,
  addToQ: UnsafeMutablePointer<Float>?,
  addToK: UnsafeMutablePointer<Float>?,
  addToV: UnsafeMutablePointer<Float>?,
  on workers: Workers
) {
  let keySums = addToK == nil ? 0 : shape.keys * shape.headSize
  let valueSums = addToV == nil ? 0 : shape.keys * shape.valueHeadSize
  let rows = shape.batch * shape.heads
  withScratch(rows * (keySums + valueSums)) { scratch in
    let call = AttentionGradientCall(
      q: q,
      k: k,
      v: v,
      shape: shape,
      mask: mask,
      gradient: gradient,
      addToQ: addToQ,
      keys: addToK.map { _ in scratch },
      values: addToV.map { _ in scratch + rows * keySums }
    )
    // The heads of one group add to the same keys, so that each has sums of its own first.
    workers.forEachTile(rows) { call.run(sequence: $0 / shape.heads, head: $0 % shape.heads) }
    if let addToK {
      call.addGroups(of: scratch, size: shape.headSize, to: addToK, on: workers)
    }
    if let addToV {
      call.addGroups(
        of: scratch + rows * keySums,
        size: shape.valueHeadSize,
        to: addToV,
        on: workers
      )
    }
  }
}

private struct AttentionGradientCall {
  let q, k, v: UnsafePointer<Float>
  let shape: AttentionShape
  let mask: UnsafePointer<Int32>?
  let gradient: UnsafePointer<Float>
  let addToQ: UnsafeMutablePointer<Float>?
  /// Gradients of keys and values for each head of queries: [batch, heads, keys, size].
  let keys, values: UnsafeMutablePointer<Float>?

  /// Queries of one strip.
  private static let stripHeight = 64

  /// Elements from one query's vector, or one key's, to the next one's.
  private var queryStride: Int { shape.heads * shape.headSize }
  private var gradientStride: Int { shape.heads * shape.valueHeadSize }
  private var keyStride: Int { shape.keyValueHeads * shape.headSize }
  private var valueStride: Int { shape.keyValueHeads * shape.valueHeadSize }

  /// One head of one sequence, strip after strip.
  func run(sequence: Int, head: Int) {
    let row = sequence * shape.heads + head
    let keySize = shape.keys * shape.headSize
    let valueSize = shape.keys * shape.valueHeadSize
    if let keys { (keys + row * keySize).update(repeating: 0, count: keySize) }
    if let values { (values + row * valueSize).update(repeating: 0, count: valueSize) }
    let height = min(Self.stripHeight, shape.queries)
    withScratch(2 * height * shape.keys) { scratch in
      for first in stride(from: 0, to: shape.queries, by: max(1, height)) {
        runStrip(
          sequence: sequence,
          head: head,
          queries: first..<min(first + height, shape.queries),
          weights: scratch,
          scores: scratch + height * shape.keys
        )
      }
    }
  }

  /// With weights P = softmax(scale · Q · Kᵀ) and the result's gradient G: V gets Pᵀ · G; the scores
  /// get scale · P ∘ (G · Vᵀ - what its rows sum to, weighted by P), which goes to Q by K and to K by
  /// Q.
  private func runStrip(
    sequence: Int,
    head: Int,
    queries: Range<Int>,
    weights: UnsafeMutablePointer<Float>,
    scores: UnsafeMutablePointer<Float>
  ) {
    // Ranges grow with the query: the first query begins, the last one ends.
    let first = shape.visibleKeys(of: queries.lowerBound).lowerBound
    let seen = first..<max(first, shape.visibleKeys(of: queries.upperBound - 1).upperBound)
    guard !seen.isEmpty else { return }
    let row = sequence * shape.heads + head
    let query = sequence * shape.queries + queries.lowerBound
    let key = sequence * shape.keys + seen.lowerBound
    let group = head / shape.group
    let strip = Strip(queries: queries.count, keys: seen.count)
    let queryRows = query * queryStride + head * shape.headSize
    let q = BLAS.Factor(pointer: q + queryRows, stride: queryStride)
    let k = BLAS.Factor(
      pointer: k + key * keyStride + group * shape.headSize,
      stride: keyStride
    )
    let v = BLAS.Factor(
      pointer: v + key * valueStride + group * shape.valueHeadSize,
      stride: valueStride
    )
    let gradient = BLAS.Factor(
      pointer: gradient + query * gradientStride + head * shape.valueHeadSize,
      stride: gradientStride
    )

    strip.multiply(q, k, inner: shape.headSize, into: weights)
    var kernelShape = shape.kernelShape(mask: mask.map { $0 + sequence * shape.keys })
    kernels.attention_weights(
      &kernelShape,
      queries.lowerBound,
      queries.count,
      seen.lowerBound,
      seen.count,
      weights
    )
    if let values {
      let place = (row * shape.keys + seen.lowerBound) * shape.valueHeadSize
      strip.addToKeys(
        weights,
        gradient,
        size: shape.valueHeadSize,
        values + place,
        stride: shape.valueHeadSize
      )
    }
    guard addToQ != nil || keys != nil else { return }
    strip.multiply(gradient, v, inner: shape.valueHeadSize, into: scores)
    kernels.softmax_gradient(weights, queries.count, seen.count, shape.scale, scores)
    if let addToQ {
      strip.addToQueries(
        scores,
        k,
        size: shape.headSize,
        addToQ + queryRows,
        stride: queryStride
      )
    }
    if let keys {
      let place = (row * shape.keys + seen.lowerBound) * shape.headSize
      strip.addToKeys(scores, q, size: shape.headSize, keys + place, stride: shape.headSize)
    }
  }

  /// Adds sums [batch, heads, keys, size] of the heads of each group, in their order, to
  /// target [batch, keys, keyValueHeads, size].
  func addGroups(
    of sums: UnsafePointer<Float>,
    size: Int,
    to target: UnsafeMutablePointer<Float>,
    on workers: Workers
  ) {
    let work = max(1, shape.heads * size)
    workers.forEachRun(of: max(1, elementsPerTile / work), in: shape.batch * shape.keys) { run in
      for row in run {
        let (sequence, key) = row.quotientAndRemainder(dividingBy: shape.keys)
        for head in 0..<shape.heads {
          let out = target + (row * shape.keyValueHeads + head / shape.group) * size
          let source = sums + ((sequence * shape.heads + head) * shape.keys + key) * size
          kernels.add(out, source, size, out)
        }
      }
    }
  }
}

/// Products of a matrix [queries, keys] with rows of queries and of keys.
private struct Strip {
  let queries, keys: Int

  /// out [queries, keys] = a [queries, inner] · b [keys, inner] transposed.
  func multiply(
    _ a: BLAS.Factor,
    _ b: BLAS.Factor,
    inner: Int,
    into out: UnsafeMutablePointer<Float>
  ) {
    BLAS.multiply(
      a,
      BLAS.Factor(pointer: b.pointer, stride: b.stride, transposed: true),
      m: queries,
      n: keys,
      k: inner,
      beta: 0,
      into: out,
      stride: keys
    )
  }

  /// target [queries, size] += strip · b [keys, size].
  func addToQueries(
    _ strip: UnsafePointer<Float>,
    _ b: BLAS.Factor,
    size: Int,
    _ target: UnsafeMutablePointer<Float>,
    stride: Int
  ) {
    BLAS.multiply(
      BLAS.Factor(pointer: strip, stride: keys),
      b,
      m: queries,
      n: size,
      k: keys,
      beta: 1,
      into: target,
      stride: stride
    )
  }

  /// target [keys, size] += strip transposed · b [queries, size].
  func addToKeys(
    _ strip: UnsafePointer<Float>,
    _ b: BLAS.Factor,
    size: Int,
    _ target: UnsafeMutablePointer<Float>,
    stride: Int
  ) {
    BLAS.multiply(
      BLAS.Factor(pointer: strip, stride: keys, transposed: true),
      b,
      m: keys,
      n: size,
      k: queries,
      beta: 1,
      into: target,
      stride: stride
    )
  }
}
