import KaratKernels
import Testing

extension Kernels {
  static let attentionShapes = [
    // batch, queries, keys, heads, keyValueHeads, headSize, valueHeadSize
    (1, 1, 1, 1, 1, 4, 4), (1, 1, 100, 9, 3, 64, 64), (2, 3, 70, 4, 2, 20, 12),
    (1, 16, 16, 1, 1, 7, 5), (2, 65, 65, 3, 1, 16, 33), (1, 130, 200, 6, 3, 64, 64),
    (1, 40, 30, 2, 2, 8, 8), (1, 33, 129, 4, 4, 24, 100),
  ]

  @Test(arguments: attentionShapes, [nil, 1, 5, 64, 1000])
  func attends(sizes: (Int, Int, Int, Int, Int, Int, Int), window: Int?) {
    for causal in [true, false] {
      let shape = AttentionShape(
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
      checkAttention(shape, size: 2)
    }
  }

  /// Scores so far apart that all weights but one vanish, in later blocks greater than before.
  @Test func extremeScores() {
    checkAttention(
      AttentionShape(
        batch: 1,
        queries: 70,
        keys: 300,
        heads: 2,
        keyValueHeads: 1,
        headSize: 16,
        valueHeadSize: 16,
        scale: 1,
        causal: true,
        window: nil
      ),
      size: 100
    )
  }

  /// Keys hidden in the middle, at the ends, and all of a sequence's.
  @Test(arguments: attentionShapes)
  func maskedKeysAreNotSeen(sizes: (Int, Int, Int, Int, Int, Int, Int)) {
    let shape = AttentionShape(
      batch: 3,
      queries: sizes.1,
      keys: sizes.2,
      heads: sizes.3,
      keyValueHeads: sizes.4,
      headSize: sizes.5,
      valueHeadSize: sizes.6,
      scale: 0.3,
      causal: false,
      window: nil
    )
    let first = (0..<shape.keys).map { $0 % 3 == 1 ? Int32(0) : 1 }
    let second = (0..<shape.keys).map { $0 > 70 ? Int32(1) : 0 }
    checkAttention(shape, size: 2, mask: first + second + second.map { _ in 0 })
  }

  private func checkAttention(_ shape: AttentionShape, size: Float, mask: [Int32]? = nil) {
    var numbers = Numbers(seed: UInt64(shape.keys))
    let q = numbers.floats(shape.batch * shape.queries * shape.heads * shape.headSize, size: size)
    let keySize = shape.keys * shape.keyValueHeads * shape.headSize
    let valueSize = shape.keys * shape.keyValueHeads * shape.valueHeadSize
    let k = numbers.floats(shape.batch * keySize, size: size)
    let v = numbers.floats(shape.batch * valueSize)
    // A cache with room for more; what lies there is not a number.
    let room = 11
    let cachedKeys = spaced(k, length: keySize, room: room)
    let cachedValues = spaced(v, length: valueSize, room: room)
    let expected = Reference.attention(q: q, k: k, v: v, shape: shape, mask: mask)
    sweep { workers in
      filled(expected.count, with: 7) { out in
        (mask ?? []).withUnsafeBufferPointer { numbers in
          attention(
            q: q,
            k: cachedKeys,
            v: cachedValues,
            shape: shape,
            keyBatchStride: keySize + room,
            valueBatchStride: valueSize + room,
            mask: mask == nil ? nil : numbers.baseAddress,
            out: out,
            on: workers
          )
        }
      }
    } check: { level, found in
      expectClose(found, expected, tolerance: size > 10 ? 1e-3 : 3e-6, "\(level) \(shape)")
    }
  }

  private func spaced(_ x: [Float], length: Int, room: Int) -> [Float] {
    stride(from: 0, to: x.count, by: length).flatMap { first in
      Array(x[first..<first + length]) + [Float](repeating: .nan, count: room)
    }
  }
}
