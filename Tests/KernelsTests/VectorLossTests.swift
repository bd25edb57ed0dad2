import KaratKernels
import Testing

extension Kernels {
  @Test func lossesOfVectorsAreDifferentiated() {
    var numbers = Numbers(seed: 20)
    let x = numbers.doubles(15)
    let target = numbers.doubles(15)
    checkGradient(of: x, Reference.meanSquaredErrorGradient(x: x, target: target)) {
      Reference.meanSquaredError(x: $0, target: target)
    }
    for rows in [1, 3, 15] {
      checkGradient(of: x, Reference.cosineLossGradient(x: x, target: target, rows: rows)) {
        Reference.cosineLoss(x: $0, target: target, rows: rows).reduce(0, +)
      }
      checkGradient(
        of: x,
        Reference.relativeSquaredErrorGradient(x: x, target: target, rows: rows)
      ) {
        Reference.relativeSquaredError(x: $0, target: target, rows: rows).reduce(0, +)
      }
    }
  }

  @Test(arguments: [1, 17, 70_001])
  func meanSquaredErrors(count: Int) {
    var numbers = Numbers(seed: 21)
    let x = numbers.floats(count)
    let target = numbers.floats(count)
    let before = x.map { $0 / Float(count) }
    let gradient = Reference.meanSquaredErrorGradient(x: x, target: target)
    sweep { workers -> [Double] in
      var loss = 0.0
      let sums = added(to: before) {
        loss = meanSquaredError(
          x: x,
          target: target,
          count: count,
          factor: 0.5,
          addTo: $0,
          on: workers
        )
      }
      return sums.map(Double.init) + [loss]
    } check: { level, found in
      expectClose(
        found[..<count].map { Float($0) },
        sum(before, gradient.map { $0 / 2 }),
        tolerance: 1e-6,
        "\(level)"
      )
      let expected = Reference.meanSquaredError(x: x, target: target)
      #expect(abs(found[count] - expected) <= 1e-6 * expected)
      let alone = meanSquaredError(
        x: x,
        target: target,
        count: count,
        factor: 1,
        addTo: nil,
        on: Workers(threads: 2)
      )
      #expect(alone == found[count])
    }
  }

  /// A loss of rows, and how much it is multiplied by in tests.
  enum RowLoss: CaseIterable { case cosine, relative }

  @Test(arguments: [(1, 1), (5, 33), (300, 384)], RowLoss.allCases)
  func lossesOfRows(size: (rows: Int, features: Int), loss: RowLoss) {
    let (rows, features) = size
    var numbers = Numbers(seed: 22)
    var x = numbers.floats(rows * features)
    var target = numbers.floats(rows * features)
    if rows > 2 {
      for i in 0..<features {
        x[i] = 0
        target[features + i] = 0
      }
    }
    let before = numbers.floats(rows * features)
    let gradient =
      loss == .cosine
      ? Reference.cosineLossGradient(x: x, target: target, rows: rows)
      : Reference.relativeSquaredErrorGradient(x: x, target: target, rows: rows)
    let fast = loss == .cosine ? cosineLoss : relativeSquaredError
    sweep { workers -> [Double] in
      var losses: [Double] = []
      let sums = added(to: before) { out in
        losses = filled(rows, with: 7) {
          fast(x, target, rows, features, 3, $0, out, workers)
        }
      }
      return sums.map(Double.init) + losses
    } check: { level, found in
      expectClose(
        found[..<x.count].map { Float($0) },
        sum(before, gradient.map { 3 * $0 }),
        tolerance: 1e-6,
        "\(level)"
      )
      let expected =
        loss == .cosine
        ? Reference.cosineLoss(x: x, target: target, rows: rows)
        : Reference.relativeSquaredError(x: x, target: target, rows: rows)
      for (found, expected) in zip(found[x.count...], expected) {
        #expect(abs(found - expected) <= 1e-6 * max(1, expected))
      }
    }
  }

  static let relationShapes = [
    // batch, length, student's features, teacher's, heads, causal
    (1, 1, 3, 5, 1, true), (2, 4, 4, 8, 2, false), (2, 5, 6, 3, 3, true), (1, 37, 24, 40, 4, false),
    (3, 70, 12, 12, 1, true),
  ].map {
    RelationShape(
      batch: $0.0,
      length: $0.1,
      studentFeatures: $0.2,
      teacherFeatures: $0.3,
      heads: $0.4,
      causal: $0.5
    )
  }

  @Test(arguments: relationShapes, [false, true])
  func relationLosses(shape: RelationShape, isMasked: Bool) {
    var numbers = Numbers(seed: 23)
    let tokens = shape.batch * shape.length
    let student = numbers.doubles(tokens * shape.studentFeatures, size: 2)
    let teacher = numbers.doubles(tokens * shape.teacherFeatures, size: 2)
    let mask = isMasked ? (0..<tokens).map { $0 % 3 == 1 ? Int32(0) : 1 } : nil
    let gradient = Reference.relationLossGradient(
      student: student,
      teacher: teacher,
      shape: shape,
      mask: mask
    )
    let loss = Reference.relationLoss(
      student: student,
      teacher: teacher,
      shape: shape,
      mask: mask
    )
    if tokens < 20 {
      checkGradient(of: student, gradient) {
        Reference.relationLoss(student: $0, teacher: teacher, shape: shape, mask: mask)
      }
    }
    // What is added weighs as much as what was there.
    let largest = Float(gradient.reduce(1e-6) { max($0, abs($1)) })
    let before = numbers.floats(student.count, size: largest)
    sweep { workers -> [Double] in
      var loss = 0.0
      let sums = added(to: before) { out in
        (mask ?? []).withUnsafeBufferPointer { numbers in
          loss = relationLoss(
            student: student.map { Float($0) },
            teacher: teacher.map { Float($0) },
            shape: shape,
            mask: mask == nil ? nil : numbers.baseAddress,
            factor: 2,
            addTo: out,
            on: workers
          )
        }
      }
      return sums.map { Double($0) } + [loss]
    } check: { level, found in
      expectClose(
        found[..<student.count].map { Float($0) },
        sum(before, gradient.map { Float(2 * $0) }),
        tolerance: 1e-5,
        "\(level)"
      )
      #expect(abs(found[student.count] - loss) <= 1e-6 * max(1, loss), "\(level)")
    }
  }
}
