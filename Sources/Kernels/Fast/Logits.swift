import CKernels

/// What two rows of logits have to do with each other.
package struct LogitComparison: Sendable, Hashable {
  /// log Σ e^logit of each row, nats.
  package var referenceLogSumExp, candidateLogSumExp: Double
  /// The Kullback-Leibler divergence of the candidate from the reference, nats, at least 0.
  package var divergence: Double
  /// The greatest logit's place in each row, the first of equals.
  package var referenceArgmax, candidateArgmax: Int
}

/// Compares two rows of `count` logits, at least 1.
///
/// Every term of the divergence is p · (e^d - 1 - d) with d = log(q / p), which is never negative:
/// near-equal rows keep their relative precision.
package func compareLogits(
  reference: UnsafePointer<Float>,
  candidate: UnsafePointer<Float>,
  count: Int
) -> LogitComparison {
  precondition(count > 0, "no logits to compare")
  let found = kernels.compare_logits(reference, candidate, count)
  return LogitComparison(
    referenceLogSumExp: found.reference_log_sum_exp,
    candidateLogSumExp: found.candidate_log_sum_exp,
    divergence: found.divergence,
    referenceArgmax: found.reference_argmax,
    candidateArgmax: found.candidate_argmax
  )
}

/// The logarithm of the sum of e^x, nats; `count` is at least 1.
package func logSumExp(_ x: UnsafePointer<Float>, count: Int) -> Double {
  precondition(count > 0, "no elements to sum")
  return kernels.log_sum_exp(x, count)
}

/// The place of the greatest element, the first of equals; NaN is passed over.
package func argmax(_ x: UnsafePointer<Float>, count: Int) -> Int {
  precondition(count > 0, "no elements to choose from")
  return kernels.argmax(x, count)
}
