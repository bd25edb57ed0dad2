import KaratKernels
import Testing

extension Kernels {
  private func shape(
    _ sizes: (Int, Int, Int, Int, Int, Int, Int),
    causal: Bool,
    window: Int?
  ) -> AttentionShape {
    AttentionShape(
      batch: sizes.0,
      queries: sizes.1,
      keys: sizes.2,
      heads: sizes.3,
      keyValueHeads: sizes.4,
      headSize: sizes.5,
      valueHeadSize: sizes.6,
      scale: 0.3,
      causal: causal,
      window: window
    )
  }

  /// Every third key is hidden, and all keys of the last of several sequences.
  private func mask(_ shape: AttentionShape) -> [Int32] {
    (0..<shape.batch * shape.keys).map { place in
      place % 3 == 1 || (shape.batch > 1 && place / shape.keys == shape.batch - 1) ? 0 : 1
    }
  }

  @Test(arguments: [
    (1, 1, 1, 1, 1, 3, 2), (2, 3, 5, 4, 2, 3, 2), (1, 5, 3, 2, 1, 2, 3), (2, 7, 7, 3, 3, 2, 2),
  ])
  func attentionIsDifferentiated(sizes: (Int, Int, Int, Int, Int, Int, Int)) {
    for (causal, window, isMasked) in [
      (true, nil, false), (false, nil, true), (true, 2, false), (false, 3, true),
    ] as [(Bool, Int?, Bool)] {
      let shape = shape(sizes, causal: causal, window: window)
      let mask = isMasked ? mask(shape) : nil
      var numbers = Numbers(seed: 5)
      let rows = (shape.batch * shape.queries * shape.heads, shape.batch * shape.keys * sizes.4)
      let q = numbers.doubles(rows.0 * shape.headSize, size: 2)
      let k = numbers.doubles(rows.1 * shape.headSize, size: 2)
      let v = numbers.doubles(rows.1 * shape.valueHeadSize)
      let upstream = numbers.doubles(rows.0 * shape.valueHeadSize)
      func loss(_ q: [Double], _ k: [Double], _ v: [Double]) -> Double {
        weightedSum(upstream, Reference.attention(q: q, k: k, v: v, shape: shape, mask: mask))
      }
      let found = Reference.attentionGradient(
        q: q,
        k: k,
        v: v,
        shape: shape,
        mask: mask,
        gradient: upstream
      )
      checkGradient(of: q, found.q) { loss($0, k, v) }
      checkGradient(of: k, found.k) { loss(q, $0, v) }
      checkGradient(of: v, found.v) { loss(q, k, $0) }
    }
  }

  @Test(
    arguments: [
      (1, 1, 1, 1, 1, 4, 4), (1, 1, 100, 6, 2, 16, 16), (2, 3, 70, 4, 2, 20, 12),
      (2, 65, 65, 3, 1, 16, 33), (1, 130, 200, 6, 3, 24, 32), (1, 40, 30, 2, 2, 8, 8),
    ],
    [nil, 1, 5, 64]
  )
  func gradientsOfAttention(sizes: (Int, Int, Int, Int, Int, Int, Int), window: Int?) {
    for causal in [true, false] {
      checkAttentionGradient(shape(sizes, causal: causal, window: window), mask: nil)
    }
    let masked = shape(sizes, causal: window == 5, window: window)
    checkAttentionGradient(masked, mask: mask(masked))
  }

  private func checkAttentionGradient(_ shape: AttentionShape, mask: [Int32]?) {
    var numbers = Numbers(seed: UInt64(shape.keys))
    let rows = (shape.batch * shape.queries * shape.heads, shape.batch * shape.keys)
    let q = numbers.floats(rows.0 * shape.headSize, size: 2)
    let k = numbers.floats(rows.1 * shape.keyValueHeads * shape.headSize, size: 2)
    let v = numbers.floats(rows.1 * shape.keyValueHeads * shape.valueHeadSize)
    let upstream = numbers.floats(rows.0 * shape.valueHeadSize)
    let before = [q, k, v].map { $0.map { $0 / 8 } }
    let expected = Reference.attentionGradient(
      q: q,
      k: k,
      v: v,
      shape: shape,
      mask: mask,
      gradient: upstream
    )
    func gradients(_ wanted: [Bool], on workers: Workers) -> [Float] {
      var sums = [[Float]](repeating: [], count: 3)
      sums[2] = added(to: before[2]) { toV in
        sums[1] = added(to: before[1]) { toK in
          sums[0] = added(to: before[0]) { toQ in
            (mask ?? []).withUnsafeBufferPointer { numbers in
              attentionGradient(
                q: q,
                k: k,
                v: v,
                shape: shape,
                mask: mask == nil ? nil : numbers.baseAddress,
                gradient: upstream,
                addToQ: wanted[0] ? toQ : nil,
                addToK: wanted[1] ? toK : nil,
                addToV: wanted[2] ? toV : nil,
                on: workers
              )
            }
          }
        }
      }
      return sums.flatMap { $0 }
    }
    sweep { workers in
      gradients([true, true, true], on: workers)
    } check: { level, found in
      let (queries, keys) = (found[..<q.count], found[q.count..<q.count + k.count])
      let values = found[(q.count + k.count)...]
      let what = "\(level) \(shape)"
      expectClose(Array(queries), sum(before[0], expected.q), tolerance: 1e-5, "q, \(what)")
      expectClose(Array(keys), sum(before[1], expected.k), tolerance: 1e-5, "k, \(what)")
      expectClose(Array(values), sum(before[2], expected.v), tolerance: 1e-5, "v, \(what)")
      let apart =
        gradients([true, false, false], on: Workers(threads: 2))[..<q.count]
        + gradients([false, true, false], on: Workers(threads: 2))[q.count..<q.count + k.count]
        + gradients([false, false, true], on: Workers(threads: 2))[(q.count + k.count)...]
      #expect(Array(apart) == found, "one gradient alone is the same as with the others")
    }
  }
}
