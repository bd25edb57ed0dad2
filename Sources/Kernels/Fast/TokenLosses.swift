import CKernels

/// The cross-entropy of rows of logits with labels: -log softmax(logits)[label].
package struct LabelTerm {
  /// The token of each row [rows], or -1 for a row that is not scored.
  let labels: UnsafePointer<Int32>
  /// What the gradient is multiplied by.
  let factor: Float
  /// Where each row's loss goes [rows], nats, without the factor.
  let losses: UnsafeMutablePointer<Double>

  /// States the labels, what their gradient is multiplied by, and where losses go.
  package init(
    labels: UnsafePointer<Int32>,
    factor: Float,
    losses: UnsafeMutablePointer<Double>
  ) {
    self.labels = labels
    self.factor = factor
    self.losses = losses
  }
}

/// How a student's distribution q is compared with its teacher's p.
package enum Divergence: Sendable, Hashable {
  /// KL(p ‖ q) = Σ p · log(p / q) (Hinton et al., 2015): the student covers all that the teacher
  /// gives.
  case forward
  /// KL(q ‖ p): the student keeps to what is probable for the teacher.
  case reverse
  /// share · KL(p ‖ m) + (1 - share) · KL(q ‖ m) with the mixture m = share · p + (1 - share) · q
  /// (generalized as by Agarwal et al., 2024); 0 < share < 1.
  ///
  /// Divided by the share it nears `forward` as that goes to 0; by 1 - share, `reverse` as it goes
  /// to 1. One half is the divergence of Jensen and Shannon.
  case jensenShannon(teacherShare: Float)

  var kernel: (karat_divergence, teacherShare: Float) {
    switch self {
    case .forward: (KARAT_FORWARD, 0.5)
    case .reverse: (KARAT_REVERSE, 0.5)
    case .jensenShannon(let share): (KARAT_JENSEN_SHANNON, share)
    }
  }
}

/// What is known of the teacher's distribution for each row.
package enum TeacherRows {
  /// Its logits [rows, vocabulary].
  case dense(UnsafePointer<Float>)
  /// Its `count` most probable tokens [rows, count], each once in a row, and their logarithms of
  /// probability at temperature 1.
  ///
  /// All other tokens fall into one bucket on both sides: the teacher's holds what its probabilities
  /// lack to 1 (1e-7 at least, which is as much as float32 tells), the student's the probability that
  /// it gives these tokens at temperature 1. What is compared are two distributions over count + 1
  /// buckets; with a temperature T, each is taken to the power 1 / T and normalized again. So a
  /// student that equals the teacher has no loss at any temperature, and the gradient moves the
  /// other tokens all in proportion. With all tokens of the vocabulary there is no such bucket, and
  /// the loss is that of the dense form.
  case sparse(
    indices: UnsafePointer<Int32>,
    logProbabilities: UnsafePointer<Float>,
    count: Int
  )
}

/// The divergence of rows of logits from a teacher's, both divided by a temperature T, times T².
///
/// So its gradient is as large as that of cross-entropy, whatever the temperature (Hinton et al.,
/// 2015).
package struct TeacherTerm {
  let rows: TeacherRows
  let divergence: Divergence
  let temperature: Float
  let factor: Float
  let losses: UnsafeMutablePointer<Double>

  /// States the teacher, the divergence, what its gradient is multiplied by, and where each row's
  /// loss goes [rows], nats · T², without the factor.
  package init(
    rows: TeacherRows,
    divergence: Divergence,
    temperature: Float,
    factor: Float,
    losses: UnsafeMutablePointer<Double>
  ) {
    precondition(temperature > 0, "a temperature is above 0")
    if case .jensenShannon(let share) = divergence {
      precondition(share > 0 && share < 1, "a mixture holds something of both")
    }
    self.rows = rows
    self.divergence = divergence
    self.temperature = temperature
    self.factor = factor
    self.losses = losses
  }
}

/// Turns rows of logits [rows, vocabulary] into the gradient of what they lose: the sum of both terms,
/// each with its factor; either may be nil.
///
/// Where there are labels, a row whose label is -1 is not scored by either term: its losses and its
/// gradient are 0.
///
/// - Precondition: labels and the teacher's indices are tokens of the vocabulary, labels or -1.
package func tokenLosses(
  logits: UnsafeMutablePointer<Float>,
  rows: Int,
  vocabulary: Int,
  labels: LabelTerm?,
  teacher: TeacherTerm?,
  on workers: Workers
) {
  precondition(vocabulary > 0, "no tokens to choose from")
  workers.forEachRun(of: max(1, elementsPerTile / vocabulary), in: rows) { run in
    for row in run {
      let place = row * vocabulary
      tokenLoss(
        row: row,
        UnsafeMutableBufferPointer(start: logits + place, count: vocabulary),
        labels: labels,
        teacher: teacher
      )
    }
  }
}

/// Turns rows of logits [rows, vocabulary] into factor · (softmax(logits) - one at the label), and
/// puts -log softmax(logits)[label] into `losses` [rows], nats.
///
/// A row whose label is -1 is not scored: its loss and its gradient are 0.
package func crossEntropy(
  logits: UnsafeMutablePointer<Float>,
  rows: Int,
  vocabulary: Int,
  labels: UnsafePointer<Int32>,
  factor: Float,
  losses: UnsafeMutablePointer<Double>,
  on workers: Workers
) {
  tokenLosses(
    logits: logits,
    rows: rows,
    vocabulary: vocabulary,
    labels: LabelTerm(labels: labels, factor: factor, losses: losses),
    teacher: nil,
    on: workers
  )
}

/// One row.
private func tokenLoss(
  row: Int,
  _ logits: UnsafeMutableBufferPointer<Float>,
  labels: LabelTerm?,
  teacher: TeacherTerm?
) {
  guard let base = logits.baseAddress else { return }
  let label = labels.map { Int($0.labels[row]) }
  if let label, label < 0 {
    logits.update(repeating: 0)
    labels?.losses[row] = 0
    teacher?.losses[row] = 0
    return
  }
  let labelFactor = labels?.factor ?? 0
  let labelLogit = label.map { Double(logits[$0]) }
  let logSumExp: Double
  if let teacher {
    let loss = teacher.loss(row: row, logits, labelFactor: labelFactor)
    logSumExp = loss.log_sum_exp
    let temperature = Double(teacher.temperature)
    teacher.losses[row] = loss.divergence * temperature * temperature
  } else {
    logSumExp = kernels.log_sum_exp(base, logits.count)
    kernels.scaled_exponential(base, logits.count, logSumExp, labelFactor, base)
  }
  if let labels, let label, let labelLogit {
    logits[label] -= labels.factor
    labels.losses[row] = logSumExp - labelLogit
  }
}

extension TeacherTerm {
  /// Turns a row of logits into the gradient of this term plus labelFactor · softmax(logits).
  ///
  /// - Returns: the divergence at the temperature, without its square.
  fileprivate func loss(
    row: Int,
    _ logits: UnsafeMutableBufferPointer<Float>,
    labelFactor: Float
  ) -> karat_token_loss {
    guard let base = logits.baseAddress else { return karat_token_loss() }
    let (kind, share) = divergence.kernel
    switch rows {
    case .dense(let teacher):
      var distillation = karat_distillation(
        divergence: kind,
        temperature: temperature,
        teacher_share: share
      )
      return kernels.distil(
        &distillation,
        base,
        teacher + row * logits.count,
        logits.count,
        labelFactor,
        factor * temperature * temperature
      )
    case .sparse(let indices, let logProbabilities, let count):
      let known = row * count..<(row + 1) * count
      return SparseTeacherRow(
        tokens: known.map { Int(indices[$0]) },
        logProbabilities: known.map { Double(logProbabilities[$0]) },
        vocabulary: logits.count
      ).loss(
        logits,
        divergence: divergence,
        temperature: Double(temperature),
        labelFactor: labelFactor,
        factor: factor
      )
    }
  }
}
