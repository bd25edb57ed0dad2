import KaratKernels
import Testing

extension Kernels {
  static let latentShapes = [
    // batch, queries, keys, heads, contentSize, rotarySize, valueSize, rank
    (1, 1, 1, 1, 4, 2, 4, 8), (2, 1, 37, 4, 16, 8, 16, 32), (2, 40, 40, 4, 16, 8, 12, 32),
    (1, 70, 131, 3, 7, 6, 33, 19), (3, 5, 9, 16, 8, 4, 8, 20), (1, 1, 300, 128, 12, 4, 20, 24),
  ]

  @Test(arguments: latentShapes, LatentAttentionForm.allCases)
  func attendsToLatents(
    sizes: (Int, Int, Int, Int, Int, Int, Int, Int),
    form: LatentAttentionForm
  ) {
    let shape = LatentAttentionShape(
      batch: sizes.0,
      queries: sizes.1,
      keys: sizes.2,
      heads: sizes.3,
      contentSize: sizes.4,
      rotarySize: sizes.5,
      valueSize: sizes.6,
      rank: sizes.7,
      scale: 0.4
    )
    var numbers = Numbers(seed: UInt64(shape.keys))
    let perQuery = shape.batch * shape.queries * shape.heads
    let content = numbers.floats(perQuery * shape.contentSize)
    let rotary = numbers.floats(perQuery * shape.rotarySize)
    let length = shape.keys * shape.rowSize
    let rows = numbers.floats(shape.batch * length)
    let weight = numbers.floats(shape.heads * (shape.contentSize + shape.valueSize) * shape.rank)
    // A cache with room for more; what lies there is not a number.
    let room = 9
    let cached = stride(from: 0, to: rows.count, by: length).flatMap { first in
      Array(rows[first..<first + length]) + [Float](repeating: .nan, count: room)
    }
    let expected = Reference.latentAttention(
      content: content,
      rotary: rotary,
      rows: rows,
      weight: weight,
      shape: shape
    )
    sweep { workers in
      filled(expected.count, with: 7) { out in
        content.withUnsafeBufferPointer { content in
          rotary.withUnsafeBufferPointer { rotary in
            cached.withUnsafeBufferPointer { cached in
              weight.withUnsafeBufferPointer { weight in
                guard let content = content.baseAddress, let rotary = rotary.baseAddress,
                  let cached = cached.baseAddress, let weight = weight.baseAddress
                else { return }
                latentAttention(
                  LatentAttentionOperands(
                    content: content,
                    rotary: rotary,
                    rows: cached,
                    rowBatchStride: length + room,
                    weight: weight
                  ),
                  shape: shape,
                  form: form,
                  out: out,
                  on: workers
                )
              }
            }
          }
        }
      }
    } check: { level, found in
      expectClose(found, expected, tolerance: 1e-5, "\(level) \(form) \(shape)")
    }
  }

  /// DeepSeek-V3's sizes: one new token over many is absorbed, a long prompt behind few is not.
  @Test func theFormThatMultipliesLessIsTaken() {
    func form(queries: Int, keys: Int) -> LatentAttentionForm {
      LatentAttentionShape(
        batch: 1,
        queries: queries,
        keys: keys,
        heads: 128,
        contentSize: 128,
        rotarySize: 64,
        valueSize: 128,
        rank: 512,
        scale: 1
      ).cheaperForm
    }
    #expect(form(queries: 1, keys: 4096) == .absorbed)
    #expect(form(queries: 100, keys: 4096) == .absorbed)
    #expect(form(queries: 1000, keys: 1001) == .expanded)
  }
}
