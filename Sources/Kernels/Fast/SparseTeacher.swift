import CKernels
import Foundation

/// The most probable tokens of a teacher in one row, and how a student's logits compare with them.
///
/// Distributions here are logarithms of probability of buckets: one for each of these tokens, and a
/// last one for all others where there are others.
struct SparseTeacherRow {
  let tokens: [Int]
  /// Of the buckets.
  private let teacher: [Double]

  /// Takes logarithms of probability at temperature 1; what they lack to 1 is the other tokens'.
  init(tokens: [Int], logProbabilities: [Double], vocabulary: Int) {
    self.tokens = tokens
    let rest = max(1e-7, 1 - logProbabilities.reduce(0) { $0 + exp($1) })
    teacher = tokens.count < vocabulary ? logProbabilities + [log(rest)] : logProbabilities
  }

  /// Turns logits into labelFactor · softmax(logits) + factor · T² · the divergence's gradient.
  ///
  /// With logarithms u of the student's buckets at temperature 1 and b = softmax(u / T), the gradient
  /// by u is e / T, where e = b · (h - Σ b · h) and h is the divergence's gradient by b. Its sum is 0,
  /// so that the student's normalization drops out: a token that is known gets its own, the others
  /// share that of their bucket by their part of it.
  func loss(
    _ logits: UnsafeMutableBufferPointer<Float>,
    divergence: Divergence,
    temperature: Double,
    labelFactor: Float,
    factor: Float
  ) -> karat_token_loss {
    guard let base = logits.baseAddress else { return karat_token_loss() }
    let known = tokens.map { Double(logits[$0]) }
    for token in tokens { logits[token] = -.infinity }
    let others = kernels.log_sum_exp(base, logits.count)
    let hasOthers = teacher.count > tokens.count && others > -.infinity
    let buckets = hasOthers ? known + [others] : known
    let all = logSumExp(buckets)
    let q = tempered(buckets, temperature)
    let p = tempered(Array(teacher.prefix(buckets.count)), temperature)
    let (value, gradient) = divergence.compare(p, q)
    let scaled = gradient.map { $0 * temperature * Double(factor) }
    func ofLabel(_ logit: Double) -> Double { Double(labelFactor) * exp(logit - all) }
    if hasOthers {
      let part = ofLabel(others) + scaled[tokens.count]
      kernels.scaled_exponential(base, logits.count, others, Float(part), base)
    } else {
      logits.update(repeating: 0)
    }
    for (place, token) in tokens.enumerated() {
      logits[token] = Float(ofLabel(known[place]) + scaled[place])
    }
    return karat_token_loss(log_sum_exp: all, divergence: value)
  }
}

private func logSumExp(_ x: [Double]) -> Double {
  let greatest = x.reduce(-.infinity) { max($0, $1) }
  guard greatest > -.infinity else { return greatest }
  return greatest + log(x.reduce(0) { $0 + exp($1 - greatest) })
}

/// The logarithms of the probabilities whose logarithms are x / T but for a constant.
private func tempered(_ x: [Double], _ temperature: Double) -> [Double] {
  let scaled = x.map { $0 / temperature }
  let total = logSumExp(scaled)
  return scaled.map { $0 - total }
}

extension Divergence {
  /// The divergence of distributions given by logarithms, and its gradient by those of q before
  /// they are normalized.
  fileprivate func compare(_ p: [Double], _ q: [Double]) -> (value: Double, gradient: [Double]) {
    switch self {
    case .forward:
      return (relativeEntropy(p, q), zip(p, q).map { exp($1) - exp($0) })
    case .reverse:
      let own = relativeEntropy(q, p)
      return (own, zip(p, q).map { exp($1) == 0 ? 0 : exp($1) * ($1 - $0 - own) })
    case .jensenShannon(let teacherShare):
      let share = Double(teacherShare)
      let mixture = zip(p, q).map { log(share * exp($0) + (1 - share) * exp($1)) }
      let own = relativeEntropy(q, mixture)
      return (
        share * relativeEntropy(p, mixture) + (1 - share) * own,
        zip(mixture, q).map { exp($1) == 0 ? 0 : (1 - share) * exp($1) * ($1 - $0 - own) }
      )
    }
  }
}

/// Σ p · log(p / q), of logarithms.
private func relativeEntropy(_ p: [Double], _ q: [Double]) -> Double {
  zip(p, q).reduce(0) { $0 + (exp($1.0) == 0 ? 0 : exp($1.0) * ($1.0 - $1.1)) }
}
