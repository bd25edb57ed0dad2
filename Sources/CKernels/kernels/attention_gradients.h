// The softmax of attention on strips of scores, and its gradient.

#pragma once

#include "attention.h"

/// Scores [count queries, keys of the strip] become weights: those of keys that a query does not
/// see are 0.
static void attention_weights(
    const karat_attention *attention, size_t first, size_t count, size_t first_key, size_t keys,
    float *scores) {
  for (size_t row = 0; row < count; row++, scores += keys) {
    key_range seen = visible_keys(attention, first + row);
    size_t from = seen.first > first_key ? seen.first - first_key : 0;
    size_t to = seen.last > first_key ? seen.last - first_key : 0;
    if (to > keys) to = keys;
    if (from > to) from = to;
    if (attention->mask)
      for (size_t key = from; key < to; key++)
        if (!attention->mask[first_key + key]) scores[key] = -INFINITY;
    for (size_t key = 0; key < from; key++) scores[key] = 0;
    for (size_t key = to; key < keys; key++) scores[key] = 0;
    floats highest = splat(-INFINITY);
    for (size_t key = from; key < to; key += LANES)
      highest = greater_of(
          to - key >= LANES ? load(scores + key) : load_first(scores + key, to - key, -INFINITY),
          highest);
    float greatest = greatest_lane(highest);
    // With scores of -infinity alone there is nothing to be relative to.
    if (greatest == -INFINITY) greatest = 0;
    floats added = splat(0);
    for (size_t key = from; key < to; key += LANES) {
      size_t rest = to - key;
      bool whole = rest >= LANES;
      floats score = whole ? load(scores + key) : load_first(scores + key, rest, -INFINITY);
      floats weight = weight_of((score - greatest) * attention->scale);
      if (whole) store(scores + key, weight);
      else store_first(scores + key, rest, weight);
      added += weight;
    }
    float sum = sum_lanes(added), factor = sum != 0 ? 1 / sum : 0;
    for (size_t key = from; key < to; key++) scores[key] *= factor;
  }
}

/// gradient [rows, columns] of weights becomes that of what their softmax was taken of:
/// factor * weight * (gradient - sum of weight * gradient over the row).
static void softmax_gradient(
    const float *weights, size_t rows, size_t columns, float factor, float *gradient) {
  for (size_t row = 0; row < rows; row++, weights += columns, gradient += columns) {
    float mean = dot(weights, gradient, columns);
    for (size_t i = 0; i < columns; i++)
      gradient[i] = factor * weights[i] * (gradient[i] - mean);
  }
}
