import KaratKernels
import Testing

/// A teacher as tests know it: whole, or its most probable tokens.
private struct Teacher: CustomStringConvertible {
  let logits: [Double]
  let vocabulary: Int
  /// How many tokens are known of each row; nil: all, as logits.
  let known: Int?

  var rows: Int { logits.count / vocabulary }
  var description: String { known.map { "\($0) tokens known" } ?? "all logits known" }

  /// The most probable tokens [rows, known] and their logarithms of probability, as floats.
  var sparse: (indices: [Int32], logProbabilities: [Float]) {
    var (indices, logProbabilities): ([Int32], [Float]) = ([], [])
    for row in 0..<rows {
      let own = Array(logits[row * vocabulary..<(row + 1) * vocabulary])
      let total = Reference.logSumExp(own.map { Float($0) })
      let tokens = own.indices.sorted { own[$0] > own[$1] }.prefix(known ?? 0)
      indices += tokens.map { Int32($0) }
      logProbabilities += tokens.map { Float(own[$0] - total) }
    }
    return (indices, logProbabilities)
  }

  func buckets(of row: Int) -> Reference.Buckets {
    guard let known else {
      return Reference.Buckets(logits: logits[row * vocabulary..<(row + 1) * vocabulary])
    }
    let (indices, logProbabilities) = sparse
    return Reference.Buckets(
      indices: indices[row * known..<(row + 1) * known],
      logProbabilities: logProbabilities[row * known..<(row + 1) * known],
      vocabulary: vocabulary
    )
  }

  /// Lends it to a kernel.
  func withRows(_ body: (TeacherRows) -> Void) {
    guard let known else {
      withPointer(logits.map { Float($0) }) { body(.dense($0)) }
      return
    }
    let (indices, logProbabilities) = sparse
    withPointer(indices) { indices in
      withPointer(logProbabilities) {
        body(.sparse(indices: indices, logProbabilities: $0, count: known))
      }
    }
  }
}

extension Kernels {
  static let divergences: [Divergence] = [
    .forward, .reverse, .jensenShannon(teacherShare: 0.5), .jensenShannon(teacherShare: 0.1),
  ]

  @Test(arguments: [1, 2, 7])
  func crossEntropyIsDifferentiated(vocabulary: Int) {
    var numbers = Numbers(seed: 7)
    let labels = [Int32(vocabulary - 1), -1, 0]
    let logits = numbers.doubles(3 * vocabulary, size: 3)
    let found = Reference.crossEntropyGradient(logits: logits, labels: labels)
    checkGradient(of: logits, found) {
      Reference.crossEntropy(logits: $0, labels: labels).reduce(0, +)
    }
  }

  @Test(arguments: divergences, [0.5, 1, 4])
  func divergencesAreDifferentiated(divergence: Divergence, temperature: Double) {
    var numbers = Numbers(seed: 8)
    for (vocabulary, known) in [(1, nil), (7, nil), (7, 1), (7, 3), (7, 7), (1, 1)] {
      let teacher = Teacher(
        logits: numbers.doubles(vocabulary, size: 3),
        vocabulary: vocabulary,
        known: known
      ).buckets(of: 0)
      let logits = numbers.doubles(vocabulary, size: 3)
      let found = Reference.distillationGradient(
        logits: logits,
        teacher: teacher,
        divergence: divergence,
        temperature: temperature
      )
      checkGradient(of: logits, found) {
        Reference.distillation(
          logits: $0,
          teacher: teacher,
          divergence: divergence,
          temperature: temperature
        )
      }
    }
  }

  /// Labels and a teacher, each alone and both together.
  @Test(arguments: [1, 5, 33, 1003], divergences)
  func lossesOfTokens(vocabulary: Int, divergence: Divergence) {
    for temperature: Float in [1, 2.5] {
      for known in [nil, 1, min(9, vocabulary), vocabulary] {
        for (labelFactor, factor) in [(0.7, nil), (nil, 1.5), (0.3, 0.6)] as [(Float?, Float?)] {
          var numbers = Numbers(seed: UInt64(vocabulary))
          checkTokenLosses(
            numbers.doubles(4 * vocabulary, size: 6),
            Teacher(
              logits: numbers.doubles(4 * vocabulary, size: 6),
              vocabulary: vocabulary,
              known: known
            ),
            labels: [0, Int32(vocabulary / 2), -1, Int32(vocabulary - 1)],
            divergence: divergence,
            temperature: temperature,
            labelFactor: labelFactor,
            factor: factor
          )
        }
      }
    }
  }

  private func checkTokenLosses(
    _ logits: [Double],
    _ teacher: Teacher,
    labels: [Int32],
    divergence: Divergence,
    temperature: Float,
    labelFactor: Float?,
    factor: Float?
  ) {
    let (rows, vocabulary) = (teacher.rows, teacher.vocabulary)
    let entropies = Reference.crossEntropy(logits: logits, labels: labels)
    let toLabels = Reference.crossEntropyGradient(logits: logits, labels: labels)
    var divergences: [Double] = []
    var expected: [Float] = []
    for row in 0..<rows {
      let range = row * vocabulary..<(row + 1) * vocabulary
      // Without labels, every row is scored.
      let isScored = labelFactor == nil || labels[row] >= 0
      let buckets = teacher.buckets(of: row)
      let own = Array(logits[range])
      let exponent = Double(temperature)
      divergences.append(
        isScored
          ? Reference.distillation(
            logits: own,
            teacher: buckets,
            divergence: divergence,
            temperature: exponent
          ) : 0
      )
      let toTeacher = Reference.distillationGradient(
        logits: own,
        teacher: buckets,
        divergence: divergence,
        temperature: exponent
      )
      expected += zip(range, toTeacher).map { place, toTeacher in
        Float(
          toLabels[place] * Double(labelFactor ?? 0)
            + (isScored ? toTeacher * Double(factor ?? 0) : 0)
        )
      }
    }
    sweep { workers -> [Double] in
      var (entropies, divergences) = ([7.0, 7, 7, 7], [7.0, 7, 7, 7])
      let gradient = added(to: logits.map { Float($0) }) { out in
        entropies = filled(rows, with: 7) { entropies in
          divergences = filled(rows, with: 7) { divergences in
            withPointer(labels) { labels in
              teacher.withRows { teacher in
                tokenLosses(
                  logits: out,
                  rows: rows,
                  vocabulary: vocabulary,
                  labels: labelFactor.map {
                    LabelTerm(labels: labels, factor: $0, losses: entropies)
                  },
                  teacher: factor.map {
                    TeacherTerm(
                      rows: teacher,
                      divergence: divergence,
                      temperature: temperature,
                      factor: $0,
                      losses: divergences
                    )
                  },
                  on: workers
                )
              }
            }
          }
        }
      }
      return gradient.map { Double($0) } + entropies + divergences
    } check: { level, found in
      let what =
        "\(level), \(vocabulary), \(divergence), \(teacher), T = \(temperature), "
        + "\(labelFactor ?? 0), \(factor ?? 0)"
      let count = rows * vocabulary
      let largest = (labelFactor ?? 0) + (factor ?? 0) * temperature
      expectClose(
        found[..<count].map { Float($0) } + [largest],
        expected + [largest],
        tolerance: 2e-6,
        what
      )
      let lost = Array(found[count...])
      if labelFactor == nil {
        #expect(lost[..<rows].allSatisfy { $0 == 7 }, "nothing is known of labels")
      } else {
        expectLosses(Array(lost[..<rows]), entropies, what)
      }
      if factor == nil {
        #expect(lost[rows...].allSatisfy { $0 == 7 }, "nothing is known of a teacher")
      } else {
        expectLosses(Array(lost[rows...]), divergences, what)
      }
    }
  }

  private func expectLosses(_ found: [Double], _ expected: [Double], _ what: String) {
    for (found, expected) in zip(found, expected) {
      #expect(abs(found - expected) <= 3e-6 * max(1, abs(expected)), "\(what)")
    }
  }

  /// Whatever the temperature, and however little is known of the teacher.
  @Test(arguments: divergences, [0.5, 1, 4] as [Float])
  func aStudentThatEqualsItsTeacherLosesNothing(divergence: Divergence, temperature: Float) {
    var numbers = Numbers(seed: 9)
    let logits = numbers.doubles(40, size: 4)
    for known in [nil, 1, 5, 39, 40] {
      let teacher = Teacher(logits: logits, vocabulary: 40, known: known)
      sweep { workers in
        var losses = [7.0]
        let gradient = added(to: logits.map { Float($0) }) { out in
          losses = filled(1, with: 7) { losses in
            teacher.withRows { rows in
              tokenLosses(
                logits: out,
                rows: 1,
                vocabulary: 40,
                labels: nil,
                teacher: TeacherTerm(
                  rows: rows,
                  divergence: divergence,
                  temperature: temperature,
                  factor: 1,
                  losses: losses
                ),
                on: workers
              )
            }
          }
        }
        return gradient.map { Double($0) } + losses
      } check: { level, found in
        // With 39 tokens known, the last one's probability is what float32 leaves of 1.
        let allowed = known == 39 ? 1e-5 : 2e-6
        let largest = found.reduce(0) { max($0, abs($1)) }
        #expect(largest <= allowed * Double(temperature), "\(level) \(teacher)")
      }
    }
  }

  /// A token that either side leaves out.
  @Test func excludedTokensGiveNumbers() {
    let open: [Double] = [1, 2, 3, 0.5, -1]
    var masked = open
    masked[1] = -.infinity
    for (student, teacher, divergence) in [
      (open, masked, Divergence.forward), (masked, masked, .forward), (masked, open, .reverse),
      (masked, masked, .reverse), (open, masked, .jensenShannon(teacherShare: 0.3)),
      (masked, open, .jensenShannon(teacherShare: 0.3)),
      (masked, masked, .jensenShannon(teacherShare: 0.3)),
    ] {
      checkTokenLosses(
        student,
        Teacher(logits: teacher, vocabulary: 5, known: nil),
        labels: [0],
        divergence: divergence,
        temperature: 2,
        labelFactor: nil,
        factor: 1
      )
    }
  }
}
