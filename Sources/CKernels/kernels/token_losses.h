// Losses of rows of logits, which become their own gradient: cross-entropy with a label, and the
// divergence from a teacher's logits.

#pragma once

#include "logits.h"

static float greatest_element(const float *x, size_t count) {
  floats best = splat(-INFINITY);
  for (size_t i = 0; i < count; i += LANES)
    best = greater_of(
        count - i >= LANES ? load(x + i) : load_first(x + i, count - i, -INFINITY), best);
  return greatest_lane(best);
}

/// log of the sum of e^(x * factor), factor > 0.
static double scaled_log_sum_exp(const float *x, size_t count, float factor) {
  float greatest = greatest_element(x, count);
  if (greatest == -INFINITY || greatest == INFINITY) greatest = 0;
  double_sum sum = {{0}, {0}};
  for (size_t i = 0; i < count; i += LANES) {
    floats v = count - i >= LANES ? load(x + i) : load_first(x + i, count - i, -INFINITY);
    add_to(&sum, exponential_of((v - greatest) * factor));
  }
  return log(total(&sum)) + (double)greatest * factor;
}

static void scaled_exponential(
    const float *x, size_t count, double offset, float factor, float *out) {
  float shift = (float)offset;
  for (size_t i = 0; i < count; i += LANES) {
    size_t rest = count - i;
    if (rest >= LANES) store(out + i, factor * exponential_of(load(x + i) - shift));
    else store_first(out + i, rest, factor * exponential_of(load_first(x + i, rest, 0) - shift));
  }
}

/// The natural logarithm of normal numbers above 0, relative error below 2e-7 (Cephes' logf).
INLINE floats logarithm_of(floats x) {
  ints exponent = (as_ints(x) >> 23) - 126;
  floats m = as_floats((as_ints(x) & 0x7fffff) | 0x3f000000);
  ints small = m < 0.70710678f;
  floats e = __builtin_convertvector(exponent + small, floats);
  m = m + as_floats(small & as_ints(m)) - 1.0f;
  floats p = splat(7.0376836292e-2f);
  p = p * m - 1.1514610310e-1f;
  p = p * m + 1.1676998740e-1f;
  p = p * m - 1.2420140846e-1f;
  p = p * m + 1.4249322787e-1f;
  p = p * m - 1.6668057665e-1f;
  p = p * m + 2.0000714765e-1f;
  p = p * m - 2.4999993993e-1f;
  p = p * m + 3.3333331174e-1f;
  p = p * m * (m * m) + e * -2.12194440e-4f - 0.5f * (m * m);
  return m + p + e * 0.693359375f;
}

/// log(share * e^log_p + (1 - share) * e^log_q), for 0 < share < 1.
INLINE floats log_mixture_of(floats log_p, floats log_q, float share) {
  floats greater = choose(log_p > log_q, log_p, log_q);
  floats sum = share * exponential_of(log_p - greater)
      + (1.0f - share) * exponential_of(log_q - greater);
  return choose(greater == -INFINITY, greater, greater + logarithm_of(sum));
}

/// What `distil` knows of a row.
typedef struct {
  /// What logits are multiplied by, and the logarithms of the sums of both rows after that.
  float inverse, log_p, log_q;
  /// Of the gradients.
  float label_factor, factor, log_sum_exp;
  float share;
} distilled_row;

/// q (log q - log r - mean): the gradient of q's divergence from r, where `mean` is that divergence.
INLINE floats centred(floats log_q, floats log_r, float mean) {
  floats q = exponential_of(log_q);
  return choose(q == 0.0f, splat(0), q * (log_q - log_r - mean));
}

/// One vector of gradients; `own` is the divergence of the student from what it is compared with.
INLINE floats distilled_of(
    karat_divergence divergence, const distilled_row *row, floats logits, floats log_p,
    floats log_q, float own) {
  floats gradient;
  switch (divergence) {
    case KARAT_FORWARD: gradient = exponential_of(log_q) - exponential_of(log_p); break;
    case KARAT_REVERSE: gradient = centred(log_q, log_p, own); break;
    case KARAT_JENSEN_SHANNON:
      gradient = (1.0f - row->share)
          * centred(log_q, log_mixture_of(log_p, log_q, row->share), own);
      break;
  }
  gradient *= row->factor;
  if (row->label_factor == 0) return gradient;
  return gradient + row->label_factor * exponential_of(logits - row->log_sum_exp);
}

INLINE double distil_by(
    karat_divergence divergence, const distilled_row *row, float *logits, const float *teacher,
    size_t count) {
  double_sum teachers = {{0}, {0}}, students = {{0}, {0}};
  float own = 0;
  // The gradient needs the whole divergence first, but for the forward one.
  for (int pass = divergence == KARAT_FORWARD ? 1 : 0; pass < 2; pass++) {
    for (size_t i = 0; i < count; i += LANES) {
      size_t rest = count - i;
      bool whole = rest >= LANES;
      floats x = whole ? load(logits + i) : load_first(logits + i, rest, -INFINITY);
      floats t = whole ? load(teacher + i) : load_first(teacher + i, rest, -INFINITY);
      floats log_p = t * row->inverse - row->log_p, log_q = x * row->inverse - row->log_q;
      if (divergence == KARAT_FORWARD) add_to(&teachers, divergence_of(log_p, log_q));
      if (pass == 0) {
        if (divergence == KARAT_REVERSE) add_to(&students, divergence_of(log_q, log_p));
        if (divergence == KARAT_JENSEN_SHANNON) {
          floats log_m = log_mixture_of(log_p, log_q, row->share);
          add_to(&teachers, divergence_of(log_p, log_m));
          add_to(&students, divergence_of(log_q, log_m));
        }
        continue;
      }
      floats gradient = distilled_of(divergence, row, x, log_p, log_q, own);
      if (whole) store(logits + i, gradient);
      else store_first(logits + i, rest, gradient);
    }
    own = (float)total(&students);
  }
  double share = row->share;
  switch (divergence) {
    case KARAT_FORWARD: return total(&teachers);
    case KARAT_REVERSE: return total(&students);
    case KARAT_JENSEN_SHANNON: return share * total(&teachers) + (1 - share) * total(&students);
  }
}

static karat_token_loss distil(
    const karat_distillation *distillation, float *logits, const float *teacher, size_t count,
    float label_factor, float factor) {
  float inverse = 1 / distillation->temperature;
  double log_q = scaled_log_sum_exp(logits, count, inverse);
  karat_token_loss loss;
  loss.log_sum_exp = inverse == 1 ? log_q : scaled_log_sum_exp(logits, count, 1);
  distilled_row row = {
    .inverse = inverse,
    .log_p = (float)scaled_log_sum_exp(teacher, count, inverse),
    .log_q = (float)log_q,
    .label_factor = label_factor,
    .factor = factor * inverse,
    .log_sum_exp = (float)loss.log_sum_exp,
    .share = distillation->teacher_share,
  };
  loss.divergence = 0;
  switch (distillation->divergence) {
    case KARAT_FORWARD:
      loss.divergence = distil_by(KARAT_FORWARD, &row, logits, teacher, count);
      break;
    case KARAT_REVERSE:
      loss.divergence = distil_by(KARAT_REVERSE, &row, logits, teacher, count);
      break;
    case KARAT_JENSEN_SHANNON:
      loss.divergence = distil_by(KARAT_JENSEN_SHANNON, &row, logits, teacher, count);
      break;
  }
  return loss;
}
