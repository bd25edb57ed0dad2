import KaratKernels
import Testing

extension Kernels {
  private func shape(_ sizes: (Int, Int, Int, Int, Int, Int, Int)) -> LatentAttentionShape {
    LatentAttentionShape(
      batch: sizes.0,
      queries: sizes.1,
      keys: sizes.1,
      heads: sizes.2,
      contentSize: sizes.3,
      rotarySize: sizes.4,
      valueSize: sizes.5,
      rank: sizes.6,
      scale: 0.4
    )
  }

  @Test(arguments: [(1, 1, 1, 2, 2, 3, 2), (2, 3, 2, 2, 2, 1, 3), (1, 5, 3, 1, 4, 2, 2)])
  func latentAttentionIsDifferentiated(sizes: (Int, Int, Int, Int, Int, Int, Int)) {
    let shape = shape(sizes)
    var numbers = Numbers(seed: 30)
    let queries = shape.batch * shape.queries * shape.heads
    let content = numbers.doubles(queries * shape.contentSize, size: 2)
    let rotary = numbers.doubles(queries * shape.rotarySize, size: 2)
    let rows = numbers.doubles(shape.batch * shape.keys * shape.rowSize, size: 2)
    let weight = numbers.doubles(
      shape.heads * (shape.contentSize + shape.valueSize) * shape.rank
    )
    let upstream = numbers.doubles(queries * shape.valueSize)
    let found = Reference.latentAttentionGradient(
      content: content,
      rotary: rotary,
      rows: rows,
      weight: weight,
      shape: shape,
      gradient: upstream
    )
    func loss(_ content: [Double], _ rotary: [Double], _ rows: [Double], _ weight: [Double])
      -> Double
    {
      weightedSum(
        upstream,
        Reference.latentAttention(
          content: content,
          rotary: rotary,
          rows: rows,
          weight: weight,
          shape: shape
        )
      )
    }
    checkGradient(of: content, found.content) { loss($0, rotary, rows, weight) }
    checkGradient(of: rotary, found.rotary) { loss(content, $0, rows, weight) }
    checkGradient(of: rows, found.rows) { loss(content, rotary, $0, weight) }
    checkGradient(of: weight, found.weight) { loss(content, rotary, rows, $0) }
  }

  @Test(arguments: [
    (1, 1, 1, 4, 2, 4, 8), (2, 40, 4, 16, 8, 12, 32), (1, 70, 3, 7, 6, 33, 19),
    (3, 9, 16, 8, 4, 8, 20),
  ])
  func gradientsOfLatentAttention(sizes: (Int, Int, Int, Int, Int, Int, Int)) {
    let shape = shape(sizes)
    var numbers = Numbers(seed: UInt64(shape.keys))
    let tokens = shape.batch * shape.keys
    let weightRows = shape.heads * (shape.contentSize + shape.valueSize)
    let content = numbers.floats(tokens * shape.heads * shape.contentSize)
    let rotary = numbers.floats(tokens * shape.heads * shape.rotarySize)
    let latents = numbers.floats(tokens * shape.rank)
    let rotatedKeys = numbers.floats(tokens * shape.rotarySize)
    let weight = numbers.floats(weightRows * shape.rank)
    let upstream = numbers.floats(tokens * shape.heads * shape.valueSize)
    var rows: [Float] = []
    for token in 0..<tokens {
      rows += latents[token * shape.rank..<(token + 1) * shape.rank]
      rows += rotatedKeys[token * shape.rotarySize..<(token + 1) * shape.rotarySize]
    }
    let reference = Reference.latentAttentionGradient(
      content: content,
      rotary: rotary,
      rows: rows,
      weight: weight,
      shape: shape,
      gradient: upstream
    )
    func parts(_ range: Range<Int>) -> [Float] {
      (0..<tokens).flatMap { token in range.map { reference.rows[token * shape.rowSize + $0] } }
    }
    let expected = [
      reference.content, reference.rotary, parts(0..<shape.rank),
      parts(shape.rank..<shape.rowSize), reference.weight,
    ]
    let before = [content, rotary, latents, rotatedKeys, weight]
    sweep { workers in
      var sums = [[Float]](repeating: [], count: before.count)
      func collect(_ targets: [UnsafeMutablePointer<Float>]) {
        guard targets.count == before.count else {
          sums[targets.count] = added(to: before[targets.count]) { collect(targets + [$0]) }
          return
        }
        latentAttentionGradient(
          content: content,
          rotary: rotary,
          latents: latents,
          rotatedKeys: rotatedKeys,
          weight: weight,
          shape: shape,
          gradient: upstream,
          addTo: LatentAttentionTargets(
            content: targets[0],
            rotary: targets[1],
            latents: targets[2],
            rotatedKeys: targets[3],
            weight: targets[4]
          ),
          on: workers
        )
      }
      collect([])
      return sums.flatMap { $0 }
    } check: { level, found in
      var first = 0
      for (before, expected) in zip(before, expected) {
        let part = Array(found[first..<first + before.count])
        first += before.count
        expectClose(part, sum(before, expected), tolerance: 1e-5, "\(level) \(shape)")
      }
    }
  }
}
