import CKernels

/// What the gradients of latent attention are added to; nil where one is not wanted.
package struct LatentAttentionTargets {
  /// [batch, length, heads · contentSize] and [batch, length, heads · rotarySize].
  let content, rotary: UnsafeMutablePointer<Float>?
  /// [batch, length, rank] and [batch, length, rotarySize].
  let latents, rotatedKeys: UnsafeMutablePointer<Float>?
  /// [heads · (contentSize + valueSize), rank].
  let weight: UnsafeMutablePointer<Float>?

  /// States where each gradient goes.
  package init(
    content: UnsafeMutablePointer<Float>?,
    rotary: UnsafeMutablePointer<Float>?,
    latents: UnsafeMutablePointer<Float>?,
    rotatedKeys: UnsafeMutablePointer<Float>?,
    weight: UnsafeMutablePointer<Float>?
  ) {
    self.content = content
    self.rotary = rotary
    self.latents = latents
    self.rotatedKeys = rotatedKeys
    self.weight = weight
  }
}

/// Adds the gradients of latent attention in its expanded form, over sequences without a cache.
///
/// Queries are content [batch, length, heads · contentSize] and rotary [batch, length, heads ·
/// rotarySize]; latents are [batch, length, rank], the rotated keys that all heads share [batch, length,
/// rotarySize], the weight [heads · (contentSize + valueSize), rank], and `gradient`, that of the result,
/// [batch, length, heads · valueSize]. Keys and values are made anew, for some heads at a time: memory
/// is linear in the length.
///
/// - Precondition: the shape has as many keys as queries.
package func latentAttentionGradient(
  content: UnsafePointer<Float>,
  rotary: UnsafePointer<Float>,
  latents: UnsafePointer<Float>,
  rotatedKeys: UnsafePointer<Float>,
  weight: UnsafePointer<Float>,
  shape: LatentAttentionShape,
  gradient: UnsafePointer<Float>,
  addTo targets: LatentAttentionTargets,
  on workers: Workers
) {
  precondition(shape.keys == shape.queries, "every token is a query and a key")
  let call = LatentGradientCall(
    content: content,
    rotary: rotary,
    latents: latents,
    rotatedKeys: rotatedKeys,
    weight: weight,
    shape: shape,
    gradient: gradient,
    targets: targets
  )
  // Keys and values of all heads of DeepSeek-V3 take 0.2 MB for each token; 64 MB bound a group.
  let perHead = shape.keys * 3 * (shape.querySize + shape.weightRows)
  let width = min(shape.heads, max(1, (1 << 24) / max(1, perHead)))
  for sequence in 0..<shape.batch {
    for first in stride(from: 0, to: shape.heads, by: width) {
      call.run(sequence: sequence, heads: first..<min(first + width, shape.heads), on: workers)
    }
  }
}

private struct LatentGradientCall {
  let content, rotary, latents, rotatedKeys, weight: UnsafePointer<Float>
  let shape: LatentAttentionShape
  let gradient: UnsafePointer<Float>
  let targets: LatentAttentionTargets

  /// Some heads of one sequence.
  func run(sequence: Int, heads: Range<Int>, on workers: Workers) {
    let mappedWidth = heads.count * shape.weightRows
    let sizes = [shape.querySize, shape.querySize, shape.valueSize, shape.valueSize].map {
      shape.keys * heads.count * $0
    }
    let operands = sizes.reduce(0, +)
    let gradients = operands - sizes[3]
    withScratch(operands + gradients + shape.keys * mappedWidth) { queries in
      let keys = queries + sizes[0]
      let values = keys + sizes[1]
      let result = values + sizes[2]
      let toQueries = queries + operands
      let toKeys = toQueries + sizes[0]
      let toValues = toKeys + sizes[1]
      let mapped = queries + operands + gradients
      expand(sequence, heads, mapped, queries, keys, values, on: workers)
      copyRows(
        gradient + (sequence * shape.keys * shape.heads + heads.lowerBound) * shape.valueSize,
        stride: shape.heads * shape.valueSize,
        width: heads.count * shape.valueSize,
        count: shape.keys,
        to: result
      )
      toQueries.update(repeating: 0, count: gradients)
      attentionGradient(
        q: queries,
        k: keys,
        v: values,
        shape: shape.plain(
          heads: heads.count,
          keyValueHeads: heads.count,
          headSize: shape.querySize,
          valueHeadSize: shape.valueSize
        ),
        gradient: result,
        addToQ: toQueries,
        addToK: toKeys,
        addToV: toValues,
        on: workers
      )
      addQueries(sequence, heads, toQueries, on: workers)
      addRotatedKeys(sequence, heads, toKeys, on: workers)
      join(heads.count, toKeys, toValues, mapped, on: workers)
      addThroughWeight(sequence, heads, mapped, on: workers)
    }
  }

  /// Makes queries and keys [length, heads, content | rotary] and values [length, heads, valueSize].
  private func expand(
    _ sequence: Int,
    _ heads: Range<Int>,
    _ mapped: UnsafeMutablePointer<Float>,
    _ queries: UnsafeMutablePointer<Float>,
    _ keys: UnsafeMutablePointer<Float>,
    _ values: UnsafeMutablePointer<Float>,
    on workers: Workers
  ) {
    linear(
      x: latents + sequence * shape.keys * shape.rank,
      rows: shape.keys,
      inFeatures: shape.rank,
      weight: weight + heads.lowerBound * shape.weightRows * shape.rank,
      outFeatures: heads.count * shape.weightRows,
      bias: nil,
      out: mapped,
      on: workers
    )
    forEachToken(heads.count, on: workers) { token in
      let shared = rotatedKeys + (sequence * shape.keys + token) * shape.rotarySize
      for (head, source) in heads.enumerated() {
        let place = token * heads.count + head
        let made = mapped + place * shape.weightRows
        let query = (sequence * shape.keys + token) * shape.heads + source
        let (key, own) = (keys + place * shape.querySize, queries + place * shape.querySize)
        key.update(from: made, count: shape.contentSize)
        (key + shape.contentSize).update(from: shared, count: shape.rotarySize)
        own.update(from: content + query * shape.contentSize, count: shape.contentSize)
        (own + shape.contentSize)
          .update(from: rotary + query * shape.rotarySize, count: shape.rotarySize)
        (values + place * shape.valueSize)
          .update(from: made + shape.contentSize, count: shape.valueSize)
      }
    }
  }

  /// Adds the gradients of queries to their two parts.
  private func addQueries(
    _ sequence: Int,
    _ heads: Range<Int>,
    _ gradients: UnsafePointer<Float>,
    on workers: Workers
  ) {
    forEachToken(heads.count, on: workers) { token in
      for (head, source) in heads.enumerated() {
        let own = gradients + (token * heads.count + head) * shape.querySize
        let query = (sequence * shape.keys + token) * shape.heads + source
        if let target = targets.content {
          add(own, shape.contentSize, to: target + query * shape.contentSize)
        }
        if let target = targets.rotary {
          add(own + shape.contentSize, shape.rotarySize, to: target + query * shape.rotarySize)
        }
      }
    }
  }

  /// Adds the rotated part of all heads' keys to the keys that they share, in the order of the heads.
  private func addRotatedKeys(
    _ sequence: Int,
    _ heads: Range<Int>,
    _ gradients: UnsafePointer<Float>,
    on workers: Workers
  ) {
    guard let target = targets.rotatedKeys else { return }
    forEachToken(heads.count, on: workers) { token in
      for head in 0..<heads.count {
        add(
          gradients + (token * heads.count + head) * shape.querySize + shape.contentSize,
          shape.rotarySize,
          to: target + (sequence * shape.keys + token) * shape.rotarySize
        )
      }
    }
  }

  /// Puts the gradients of keys, without their rotated part, and of values side by side, as the weight
  /// makes them: [length, heads, contentSize + valueSize].
  private func join(
    _ heads: Int,
    _ keys: UnsafePointer<Float>,
    _ values: UnsafePointer<Float>,
    _ out: UnsafeMutablePointer<Float>,
    on workers: Workers
  ) {
    forEachToken(heads, on: workers) { token in
      for place in token * heads..<(token + 1) * heads {
        let made = out + place * shape.weightRows
        made.update(from: keys + place * shape.querySize, count: shape.contentSize)
        (made + shape.contentSize)
          .update(from: values + place * shape.valueSize, count: shape.valueSize)
      }
    }
  }

  /// Adds what the weight makes of its result's gradient: latents get gradient · weight, the weight
  /// gets gradient transposed · latents.
  private func addThroughWeight(
    _ sequence: Int,
    _ heads: Range<Int>,
    _ gradients: UnsafePointer<Float>,
    on workers: Workers
  ) {
    let made = heads.count * shape.weightRows
    let firstRow = heads.lowerBound * shape.weightRows
    let firstLatent = sequence * shape.keys * shape.rank
    if let target = targets.latents {
      addProduct(
        BLAS.Factor(pointer: gradients, stride: made),
        BLAS.Factor(pointer: weight + firstRow * shape.rank, stride: shape.rank),
        rows: shape.keys,
        columns: shape.rank,
        inner: made,
        to: target + firstLatent,
        on: workers
      )
    }
    if let target = targets.weight {
      addProduct(
        BLAS.Factor(pointer: gradients, stride: made, transposed: true),
        BLAS.Factor(pointer: latents + firstLatent, stride: shape.rank),
        rows: made,
        columns: shape.rank,
        inner: shape.keys,
        to: target + firstRow * shape.rank,
        on: workers
      )
    }
  }

  private func forEachToken(_ heads: Int, on workers: Workers, _ body: (Int) -> Void) {
    let work = max(1, heads * shape.querySize)
    workers.forEachRun(of: max(1, elementsPerTile / work), in: shape.keys) { $0.forEach(body) }
  }

  private func add(
    _ x: UnsafePointer<Float>,
    _ count: Int,
    to target: UnsafeMutablePointer<Float>
  ) {
    kernels.add(target, x, count, target)
  }
}
