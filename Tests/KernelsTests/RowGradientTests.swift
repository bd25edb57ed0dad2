import KaratKernels
import Testing

/// How sequences of tokens are hidden, and one that is hidden throughout.
private func mask(batch: Int, length: Int) -> [Int32] {
  (0..<batch * length).map { place in
    place / length == 2 ? 0 : place % length % 3 == 1 ? 0 : 1
  }
}

extension Kernels {
  @Test(
    arguments: [
      (1, 1, 1, 2, 0..<2), (2, 5, 3, 6, 0..<6), (3, 70, 9, 64, 0..<64), (2, 3, 2, 7, 1..<7),
      (1, 9, 4, 48, 16..<48), (2, 2, 3, 40, 0..<20),
    ],
    [RotaryPairing.halves, .neighbours]
  )
  func rotaryGradients(sizes: (Int, Int, Int, Int, Range<Int>), pairing: RotaryPairing) {
    let shape = RotaryShape(
      batch: sizes.0,
      length: sizes.1,
      heads: sizes.2,
      headSize: sizes.3,
      rotated: sizes.4,
      pairing: pairing
    )
    var numbers = Numbers(seed: 30)
    let count = sizes.0 * sizes.1 * sizes.2 * sizes.3
    let start = 3
    let angles = (start + shape.length) * shape.rotated.count / 2
    let (cosines, sines) = (numbers.doubles(angles), numbers.doubles(angles))
    let upstream = numbers.doubles(count)
    let expected = Reference.ropeGradient(
      gradient: upstream,
      shape: shape,
      cosines: cosines,
      sines: sines,
      start: start
    )
    if count < 100 {
      checkGradient(of: numbers.doubles(count), expected) { x in
        weightedSum(
          upstream,
          Reference.rope(x: x, shape: shape, cosines: cosines, sines: sines, start: start)
        )
      }
    }
    let before = numbers.floats(count)
    let gradient = upstream.map { Float($0) }
    sweep { workers in
      added(to: before) {
        ropeGradient(
          gradient: gradient,
          shape: shape,
          cosines: cosines.map { Float($0) },
          sines: sines.map { Float($0) },
          start: start,
          addTo: $0,
          on: workers
        )
      }
    } check: { level, found in
      expectClose(found, sum(before, expected.map { Float($0) }), tolerance: 5e-7, "\(level)")
    }
  }

  @Test(arguments: [(1, 1), (3000, 37), (41, 1000)])
  func embeddingGradients(count: Int, features: Int) {
    var numbers = Numbers(seed: 31)
    // Ids repeat, next to each other as well.
    let ids = (0..<count).map { Int32($0 / 2 * 7 % 100) }
    let gradient = numbers.floats(count * features)
    let before = numbers.floats(100 * features)
    sweep { workers in
      added(to: before) {
        embeddingGradient(
          ids: ids,
          count: count,
          gradient: gradient,
          features: features,
          addTo: $0,
          on: workers
        )
      }
    } check: { level, found in
      let expected = Reference.embeddingGradient(
        ids: ids,
        gradient: gradient,
        rows: 100,
        features: features
      )
      expectClose(found, sum(before, expected), tolerance: 2e-6, "\(level)")
    }
  }

  @Test func embeddingGradientByDifferences() {
    var numbers = Numbers(seed: 32)
    let ids: [Int32] = [2, 0, 2, 2, 4]
    let upstream = numbers.doubles(ids.count * 3)
    let expected = Reference.embeddingGradient(ids: ids, gradient: upstream, rows: 5, features: 3)
    checkGradient(of: numbers.doubles(15), expected) {
      weightedSum(upstream, Reference.embed(ids: ids, table: $0, features: 3))
    }
  }

  @Test(arguments: [(1, 1, 1), (5, 3, 7), (4001, 17, 20)])
  func addsRowsApart(count: Int, width: Int, stride: Int) {
    var numbers = Numbers(seed: 33)
    let x = numbers.floats(count * stride)
    let outStride = width + 2
    let before = numbers.floats(count * outStride)
    sweep { workers in
      added(to: before) {
        addRows(
          x,
          stride: stride,
          width: width,
          count: count,
          to: $0,
          outStride: outStride,
          on: workers
        )
      }
    } check: { level, found in
      let expected = before.indices.map { index in
        let (row, column) = (index / outStride, index % outStride)
        return before[index] + (column < width ? x[row * stride + column] : 0)
      }
      #expect(found == expected, "\(level)")
    }
  }

  @Test(arguments: PoolingKind.allCases, [(1, 1, 1), (3, 7, 5), (4, 5, 33)])
  func poolingGradients(kind: PoolingKind, sizes: (batch: Int, length: Int, features: Int)) {
    let (batch, length, features) = sizes
    var numbers = Numbers(seed: 34)
    let x = numbers.doubles(batch * length * features)
    let mask = mask(batch: batch, length: length)
    let upstream = numbers.doubles(batch * features)
    let expected = Reference.poolingGradient(
      kind,
      x: x,
      mask: mask,
      length: length,
      features: features,
      gradient: upstream
    )
    if x.count < 200 {
      checkGradient(of: x, expected) { x in
        weightedSum(
          upstream,
          Reference.pooling(kind, x: x, mask: mask, length: length, features: features)
        )
      }
    }
    let before = numbers.floats(x.count)
    sweep { workers in
      added(to: before) {
        poolingGradient(
          kind,
          x: x.map { Float($0) },
          mask: mask,
          batch: batch,
          length: length,
          features: features,
          gradient: upstream.map { Float($0) },
          addTo: $0,
          on: workers
        )
      }
    } check: { level, found in
      expectClose(found, sum(before, expected.map { Float($0) }), tolerance: 5e-7, "\(level)")
    }
  }

  @Test func theFirstOfEqualMaximaGetsTheGradient() {
    sweep { workers in
      added(to: [0, 0, 0]) {
        poolingGradient(
          .max,
          x: [1, 2, 2],
          mask: [1, 1, 1],
          batch: 1,
          length: 3,
          features: 1,
          gradient: [5],
          addTo: $0,
          on: workers
        )
      }
    } check: { level, found in
      #expect(found == [0, 5, 0], "\(level)")
    }
  }

  @Test(arguments: [(1, 1), (3, 7), (5, 33), (500, 100)])
  func unitLengthGradients(rows: Int, features: Int) {
    var numbers = Numbers(seed: 35)
    let x = numbers.doubles(rows * features)
    let upstream = numbers.doubles(rows * features)
    let expected = Reference.unitLengthGradient(
      x: x,
      rows: rows,
      features: features,
      gradient: upstream
    )
    if x.count < 200 {
      checkGradient(of: x, expected) { x in
        weightedSum(upstream, Reference.unitLength(x: x, rows: rows, features: features))
      }
    }
    let before = numbers.floats(x.count)
    sweep { workers in
      added(to: before) {
        unitLengthGradient(
          x: x.map { Float($0) },
          rows: rows,
          features: features,
          gradient: upstream.map { Float($0) },
          addTo: $0,
          on: workers
        )
      }
    } check: { level, found in
      expectClose(found, sum(before, expected.map { Float($0) }), tolerance: 5e-7, "\(level)")
    }
  }

  /// Too short to be made 1 long: divided by a constant.
  @Test func aVectorOfZerosPassesItsGradient() {
    sweep { workers in
      added(to: [0, 0]) {
        let gradient: [Float] = [1e-12, -2e-12]
        unitLengthGradient(
          x: [0, 0],
          rows: 1,
          features: 2,
          gradient: gradient,
          addTo: $0,
          on: workers
        )
      }
    } check: { level, found in
      expectClose(found, [1, -2], tolerance: 1e-6, "\(level)")
    }
  }
}
