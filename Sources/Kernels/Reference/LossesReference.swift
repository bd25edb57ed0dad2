import Foundation

extension Reference {
  /// -log softmax(logits)[label] for each row of logits [rows, vocabulary]; 0 where the label is -1.
  package static func crossEntropy<Number: BinaryFloatingPoint>(
    logits: [Number],
    labels: [Int32]
  ) -> [Double] {
    let rows = rows(of: logits, labels.count)
    return zip(rows, labels).map { $1 < 0 ? 0 : -log(softmax($0)[Int($1)]) }
  }

  /// The gradient of the sum of `crossEntropy`.
  package static func crossEntropyGradient<Number: BinaryFloatingPoint>(
    logits: [Number],
    labels: [Int32]
  ) -> [Number] {
    zip(rows(of: logits, labels.count), labels).flatMap { row, label in
      softmax(row).enumerated().map { token, p in
        Number(label < 0 ? 0 : token == Int(label) ? p - 1 : p)
      }
    }
  }

  /// What a teacher gives to buckets of the vocabulary, each token in one of them, at temperature 1.
  package struct Buckets {
    let tokens: [[Int]]
    let probabilities: [Double]

    /// A bucket for each token.
    package init(logits: some Sequence<some BinaryFloatingPoint>) {
      probabilities = softmax(logits.map { Double($0) })
      tokens = probabilities.indices.map { [$0] }
    }

    /// Some tokens with their logarithms of probability, and one bucket of all others.
    package init(
      indices: some Sequence<Int32>,
      logProbabilities: some Sequence<some BinaryFloatingPoint>,
      vocabulary: Int
    ) {
      let known = indices.map { Int($0) }
      let others = (0..<vocabulary).filter { !known.contains($0) }
      let given = logProbabilities.map { exp(Double($0)) }
      let rest = max(1e-7, 1 - given.reduce(0, +))
      tokens = known.map { [$0] } + (others.isEmpty ? [] : [others])
      probabilities = given + (others.isEmpty ? [] : [rest])
    }
  }

  /// T² times the divergence of a student's logits [vocabulary] from its teacher, where what both give
  /// to buckets is taken to the power 1 / T.
  package static func distillation(
    logits: [some BinaryFloatingPoint],
    teacher: Buckets,
    divergence: Divergence,
    temperature: Double
  ) -> Double {
    let q = tempered(sums(softmax(logits.map { Double($0) }), teacher), temperature)
    let p = tempered(teacher.probabilities, temperature)
    return divergence.value(p, q) * temperature * temperature
  }

  /// The gradient of `distillation` by the logits.
  package static func distillationGradient<Number: BinaryFloatingPoint>(
    logits: [Number],
    teacher: Buckets,
    divergence: Divergence,
    temperature: Double
  ) -> [Number] {
    let probabilities = softmax(logits.map { Double($0) })
    let buckets = sums(probabilities, teacher)
    let q = tempered(buckets, temperature)
    let p = tempered(teacher.probabilities, temperature)
    // By the logarithms of what the student gives to buckets, a part 1 / T of which softmax sees.
    let toLogarithms = softmaxGradient(q, divergence.slopes(p, q)).map { $0 * temperature }
    var toProbabilities = probabilities.map { _ in 0.0 }
    for (bucket, tokens) in teacher.tokens.enumerated() where buckets[bucket] > 0 {
      for token in tokens { toProbabilities[token] = toLogarithms[bucket] / buckets[bucket] }
    }
    return softmaxGradient(probabilities, toProbabilities).map { Number($0) }
  }

  /// Σ (x - target)² / count.
  package static func meanSquaredError<Number: BinaryFloatingPoint>(
    x: [Number],
    target: [Number]
  ) -> Double {
    zip(x, target).reduce(0) { $0 + pow(Double($1.0) - Double($1.1), 2) } / Double(x.count)
  }

  /// The gradient of `meanSquaredError` by x.
  package static func meanSquaredErrorGradient<Number: BinaryFloatingPoint>(
    x: [Number],
    target: [Number]
  ) -> [Number] {
    zip(x, target).map { Number(2 * (Double($0) - Double($1)) / Double(x.count)) }
  }

  /// |x - target|² / |target|² for each row; 0 where the target is zero.
  package static func relativeSquaredError<Number: BinaryFloatingPoint>(
    x: [Number],
    target: [Number],
    rows: Int
  ) -> [Double] {
    zip(self.rows(of: x, rows), self.rows(of: target, rows)).map { x, target in
      let squares = dot(target, target)
      return squares == 0 ? 0 : zip(x, target).reduce(0) { $0 + pow($1.0 - $1.1, 2) } / squares
    }
  }

  /// The gradient of the sum of `relativeSquaredError` by x.
  package static func relativeSquaredErrorGradient<Number: BinaryFloatingPoint>(
    x: [Number],
    target: [Number],
    rows: Int
  ) -> [Number] {
    zip(self.rows(of: x, rows), self.rows(of: target, rows)).flatMap { x, target in
      let squares = dot(target, target)
      return zip(x, target).map { squares == 0 ? 0 : Number(2 * ($0 - $1) / squares) }
    }
  }

  /// 1 - x · target / (|x| · |target|) for each row; 1 where a row is zero.
  package static func cosineLoss<Number: BinaryFloatingPoint>(
    x: [Number],
    target: [Number],
    rows: Int
  ) -> [Double] {
    zip(self.rows(of: x, rows), self.rows(of: target, rows)).map { x, target in
      let lengths = dot(x, x).squareRoot() * dot(target, target).squareRoot()
      return lengths == 0 ? 1 : 1 - dot(x, target) / lengths
    }
  }

  /// The gradient of the sum of `cosineLoss` by x.
  package static func cosineLossGradient<Number: BinaryFloatingPoint>(
    x: [Number],
    target: [Number],
    rows: Int
  ) -> [Number] {
    zip(self.rows(of: x, rows), self.rows(of: target, rows)).flatMap { x, target in
      let (length, other) = (dot(x, x).squareRoot(), dot(target, target).squareRoot())
      let cosine = length * other == 0 ? 0 : dot(x, target) / (length * other)
      return zip(x, target).map { x, target in
        length * other == 0
          ? 0 : Number(cosine * x / (length * length) - target / (length * other))
      }
    }
  }

  /// The mean over relation heads and tokens of KL(teacher ‖ student) between rows of
  /// softmax(A · Aᵀ / √d).
  package static func relationLoss<Number: BinaryFloatingPoint>(
    student: [Number],
    teacher: [Number],
    shape: RelationShape,
    mask: [Int32]?
  ) -> Double {
    let rows = relations(student: student, teacher: teacher, shape: shape, mask: mask)
    return rows.reduce(0) { $0 + Divergence.forward.value($1.p, $1.q) } / Double(max(1, rows.count))
  }

  /// The gradient of `relationLoss` by the student's vectors.
  package static func relationLossGradient<Number: BinaryFloatingPoint>(
    student: [Number],
    teacher: [Number],
    shape: RelationShape,
    mask: [Int32]?
  ) -> [Number] {
    let rows = relations(student: student, teacher: teacher, shape: shape, mask: mask)
    let features = shape.studentFeatures
    let width = features / shape.heads
    let factor = 1 / Double(width).squareRoot() / Double(max(1, rows.count))
    var out = student.map { _ in 0.0 }
    for row in rows {
      let own = row.token * features + row.head * width
      for (place, token) in row.seen.enumerated() {
        let other = token * features + row.head * width
        let toScore = (row.q[place] - row.p[place]) * factor
        for i in 0..<width {
          out[own + i] += toScore * Double(student[other + i])
          out[other + i] += toScore * Double(student[own + i])
        }
      }
    }
    return out.map { Number($0) }
  }

  /// The relations of every token that is not masked, in every head; tokens are rows of [batch, length].
  private static func relations<Number: BinaryFloatingPoint>(
    student: [Number],
    teacher: [Number],
    shape: RelationShape,
    mask: [Int32]?
  ) -> [(token: Int, head: Int, seen: [Int], p: [Double], q: [Double])] {
    let shown = (0..<shape.batch * shape.length).filter { mask?[$0] != 0 }
    return shown.flatMap { token in
      let seen = shown.filter {
        $0 / shape.length == token / shape.length && (!shape.causal || $0 <= token)
      }
      return (0..<shape.heads).map { head in
        func row(_ vectors: [Number], _ features: Int) -> [Double] {
          let width = features / shape.heads
          func part(_ token: Int) -> [Double] {
            (0..<width).map { Double(vectors[token * features + head * width + $0]) }
          }
          let own = part(token)
          return softmax(seen.map { dot(own, part($0)) / Double(width).squareRoot() })
        }
        return (
          token, head, seen, row(teacher, shape.teacherFeatures),
          row(student, shape.studentFeatures)
        )
      }
    }
  }

  private static func dot(_ a: [Double], _ b: [Double]) -> Double {
    zip(a, b).reduce(0) { $0 + $1.0 * $1.1 }
  }

  private static func rows(of x: [some BinaryFloatingPoint], _ count: Int) -> [[Double]] {
    let size = x.count / max(1, count)
    return (0..<count).map { row in x[row * size..<(row + 1) * size].map { Double($0) } }
  }

  private static func sums(_ probabilities: [Double], _ teacher: Buckets) -> [Double] {
    teacher.tokens.map { tokens in tokens.reduce(0) { $0 + probabilities[$1] } }
  }

  private static func tempered(_ p: [Double], _ temperature: Double) -> [Double] {
    let powers = p.map { pow($0, 1 / temperature) }
    let total = powers.reduce(0, +)
    return powers.map { $0 / total }
  }
}

extension Divergence {
  /// The divergence of q from p.
  fileprivate func value(_ p: [Double], _ q: [Double]) -> Double {
    func relativeEntropy(_ p: [Double], _ q: [Double]) -> Double {
      zip(p, q).reduce(0) { $0 + ($1.0 > 0 ? $1.0 * log($1.0 / $1.1) : 0) }
    }
    switch self {
    case .forward: return relativeEntropy(p, q)
    case .reverse: return relativeEntropy(q, p)
    case .jensenShannon(let teacherShare):
      let share = Double(teacherShare)
      let mixture = zip(p, q).map { share * $0 + (1 - share) * $1 }
      return share * relativeEntropy(p, mixture) + (1 - share) * relativeEntropy(q, mixture)
    }
  }

  /// Its derivatives by each element of q.
  fileprivate func slopes(_ p: [Double], _ q: [Double]) -> [Double] {
    zip(p, q).map { p, q in
      switch self {
      case .forward: return q > 0 ? -p / q : 0
      case .reverse: return q > 0 ? log(q / p) + 1 : 0
      case .jensenShannon(let teacherShare):
        let share = Double(teacherShare)
        return q > 0 ? (1 - share) * log(q / (share * p + (1 - share) * q)) : 0
      }
    }
  }
}
