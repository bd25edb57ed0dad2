// Losses that compare vectors, with their gradients.

#pragma once

#include "vector.h"

static double squared_error_gradient(
    const float *x, const float *target, size_t count, float factor, float *into) {
  double_sum sum = {{0}, {0}};
  for (size_t i = 0; i < count; i += LANES) {
    size_t rest = count - i;
    bool whole = rest >= LANES;
    floats d = whole ? load(x + i) - load(target + i)
                     : load_first(x + i, rest, 0) - load_first(target + i, rest, 0);
    add_to(&sum, d * d);
    if (!into) continue;
    if (whole) store(into + i, load(into + i) + factor * d);
    else store_first(into + i, rest, load_first(into + i, rest, 0) + factor * d);
  }
  return total(&sum);
}

static double dot_product(const float *a, const float *b, size_t count) {
  double_sum sum = {{0}, {0}};
  for (size_t i = 0; i < count; i += LANES) {
    size_t rest = count - i;
    add_to(
        &sum, rest >= LANES ? load(a + i) * load(b + i)
                            : load_first(a + i, rest, 0) * load_first(b + i, rest, 0));
  }
  return total(&sum);
}

static void add_multiples(
    const float *a, float a_factor, const float *b, float b_factor, size_t count, float *into) {
  for (size_t i = 0; i < count; i++) into[i] += a_factor * a[i] + b_factor * b[i];
}

static void add_multiple(const float *x, float factor, size_t count, float *into) {
  for (size_t i = 0; i < count; i++) into[i] += factor * x[i];
}

static void add_products(const float *a, const float *b, size_t count, float *into) {
  for (size_t i = 0; i < count; i++) into[i] += a[i] * b[i];
}

static void scale_by(const float *a, const float *b, float factor, size_t count, float *out) {
  for (size_t i = 0; i < count; i++) out[i] = a[i] * (b[i] * factor);
}
