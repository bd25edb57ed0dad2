// What is known about rows of logits: greatest element, log-sum-exp, divergence.

#pragma once

#include "vector.h"

static size_t argmax(const float *x, size_t count) {
  floats best = splat(-INFINITY);
  for (size_t i = 0; i < count; i += LANES)
    best = greater_of(
        count - i >= LANES ? load(x + i) : load_first(x + i, count - i, -INFINITY), best);
  float greatest = greatest_lane(best);
  for (size_t i = 0; i < count; i++)
    if (x[i] == greatest) return i;
  return 0;
}

/// The sum of e^(x - greatest), and its logarithm plus `greatest`.
INLINE double log_sum_exp_above(const float *x, size_t count, float greatest) {
  // A row of -infinity alone sums to zero; one with +infinity is infinite.
  if (greatest == -INFINITY || greatest == INFINITY) greatest = 0;
  double_sum sum = {{0}, {0}};
  for (size_t i = 0; i < count; i += LANES)
    add_to(
        &sum,
        exponential_of(
            (count - i >= LANES ? load(x + i) : load_first(x + i, count - i, -INFINITY))
            - greatest));
  return log(total(&sum)) + greatest;
}

static double log_sum_exp(const float *x, size_t count) {
  return log_sum_exp_above(x, count, x[argmax(x, count)]);
}

/// p (e^d - 1 - d) with d = log(q / p): never negative, and its sum over all tokens is the
/// divergence, since both distributions sum to one. What is off in the normalizations is off to
/// second order only.
INLINE floats divergence_of(floats log_p, floats log_q) {
  floats p = exponential_of(log_p), q = exponential_of(log_q), d = log_q - log_p;
  floats series = splat(1.0f / 40320);
  series = series * d + 1.0f / 5040;
  series = series * d + 1.0f / 720;
  series = series * d + 1.0f / 120;
  series = series * d + 1.0f / 24;
  series = series * d + 1.0f / 6;
  series = series * d + 0.5f;
  floats result = choose(magnitude(d) < 0.5f, p * (series * d * d), q - p - p * d);
  return choose(p == 0.0f, q, result);
}

static karat_logit_comparison compare_logits(
    const float *reference, const float *candidate, size_t count) {
  karat_logit_comparison found;
  found.reference_argmax = argmax(reference, count);
  found.candidate_argmax = argmax(candidate, count);
  double log_p = log_sum_exp_above(reference, count, reference[found.reference_argmax]);
  double log_q = log_sum_exp_above(candidate, count, candidate[found.candidate_argmax]);
  found.reference_log_sum_exp = log_p;
  found.candidate_log_sum_exp = log_q;
  double_sum sum = {{0}, {0}};
  for (size_t i = 0; i < count; i += LANES) {
    bool whole = count - i >= LANES;
    floats p = whole ? load(reference + i) : load_first(reference + i, count - i, -INFINITY);
    floats q = whole ? load(candidate + i) : load_first(candidate + i, count - i, -INFINITY);
    add_to(&sum, divergence_of(p - (float)log_p, q - (float)log_q));
  }
  found.divergence = total(&sum);
  return found;
}
