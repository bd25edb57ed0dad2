// Attention with softmax computed along the way: scores exist for one block of 64 keys at a time.

#pragma once

#include "product.h"

static void pack_keys(
    const float *keys, size_t count, size_t stride, size_t head_size, float *packed) {
  transpose(keys, count, stride, head_size, packed, KARAT_KEY_BLOCK);
}

static size_t padded_value_size(size_t value_size) {
  return (value_size + KARAT_VALUE_STEP - 1) / KARAT_VALUE_STEP * KARAT_VALUE_STEP;
}

static void pack_values(
    const float *values, size_t count, size_t stride, size_t value_size, float *packed) {
  size_t padded = padded_value_size(value_size);
  memset(packed, 0, KARAT_KEY_BLOCK * padded * sizeof *packed);
  for (size_t key = 0; key < count; key++)
    memcpy(packed + key * padded, values + key * stride, value_size * sizeof *packed);
}

/// The keys [first, last) that the query sees.
typedef struct {
  size_t first, last;
} key_range;

static key_range visible_keys(const karat_attention *attention, size_t query) {
  // Query i stands at position keys - queries + i; `end` is one more, or 0 where that is negative.
  size_t before = query + 1 + attention->keys;
  size_t end = before > attention->queries ? before - attention->queries : 0;
  key_range range = {0, attention->keys};
  if (attention->causal && end < range.last) range.last = end;
  if (attention->window && end > attention->window) range.first = end - attention->window;
  if (range.first > range.last) range.first = range.last;
  return range;
}

static size_t attention_scratch(const karat_attention *attention, size_t queries) {
  size_t rows = queries * (attention->heads / attention->key_value_heads);
  return rows * (attention->head_size + KARAT_KEY_BLOCK + padded_value_size(attention->value_size) + 2);
}

/// e^x for x <= 0 of weights, 0 instead of subnormal numbers, which are slow to multiply.
INLINE floats weight_of(floats x) {
  return as_floats(~(x < -87.0f) & as_ints(exponential_of(x)));
}

/// Turns the scores [64] of one query into weights, with `first` to `last` visible, and scales what
/// was summed before, so that all weights are relative to the greatest score so far.
INLINE void soften(
    float *scores, size_t first, size_t last, float *greatest, float *weight_sum, float *sums,
    size_t value_size) {
  for (size_t key = 0; key < first; key++) scores[key] = -INFINITY;
  for (size_t key = last; key < KARAT_KEY_BLOCK; key++) scores[key] = -INFINITY;
  floats highest = load(scores);
  for (size_t key = LANES; key < KARAT_KEY_BLOCK; key += LANES)
    highest = greater_of(load(scores + key), highest);
  float before = *greatest, now = greatest_lane(highest);
  now = now > before ? now : before;
  // With scores of -infinity alone there is nothing to be relative to.
  float reference = now == -INFINITY ? 0 : now;
  floats added = splat(0);
  for (size_t key = 0; key < KARAT_KEY_BLOCK; key += LANES) {
    floats weight = weight_of(load(scores + key) - reference);
    store(scores + key, weight);
    added += weight;
  }
  if (now != before) {
    floats shrink = exponential_of(splat(before - reference));
    *weight_sum *= shrink[0];
    for (size_t i = 0; i < value_size; i += LANES) store(sums + i, load(sums + i) * shrink);
    *greatest = now;
  }
  *weight_sum += sum_lanes(added);
}

static void attention_tile(
    const karat_attention *attention, const float *q, size_t first, size_t count,
    const float *packed_keys, const float *packed_values, float *out, float *scratch) {
  size_t group = attention->heads / attention->key_value_heads, rows = count * group;
  size_t head_size = attention->head_size, value_size = padded_value_size(attention->value_size);
  float *queries = scratch, *scores = queries + rows * head_size;
  float *sums = scores + rows * KARAT_KEY_BLOCK, *greatest = sums + rows * value_size;
  float *weight_sums = greatest + rows;

  // Row i * group + h is query first + i of head h.
  for (size_t row = 0; row < rows; row++) {
    size_t query = first + row / group, head = row % group;
    const float *source = q + (query * attention->heads + head) * head_size;
    for (size_t i = 0; i < head_size; i++)
      queries[row * head_size + i] = source[i] * attention->scale;
    greatest[row] = -INFINITY;
    weight_sums[row] = 0;
  }
  memset(sums, 0, rows * value_size * sizeof *sums);

  // Ranges grow with the query: the first query begins, the last one ends.
  size_t begin = visible_keys(attention, first).first / KARAT_KEY_BLOCK * KARAT_KEY_BLOCK;
  size_t end = visible_keys(attention, first + count - 1).last;
  for (size_t block = begin; block < end; block += KARAT_KEY_BLOCK) {
    size_t length = end - block < KARAT_KEY_BLOCK ? end - block : KARAT_KEY_BLOCK;
    product(
        queries, head_size, rows, head_size, packed_keys + block * head_size, KARAT_KEY_BLOCK,
        KARAT_KEY_BLOCK, scores, KARAT_KEY_BLOCK, false);
    for (size_t row = 0; row < rows; row++) {
      key_range seen = visible_keys(attention, first + row / group);
      size_t from = seen.first > block ? seen.first - block : 0;
      size_t to = seen.last > block ? seen.last - block : 0;
      if (to > KARAT_KEY_BLOCK) to = KARAT_KEY_BLOCK;
      float *row_scores = scores + row * KARAT_KEY_BLOCK;
      if (attention->mask)
        for (size_t key = from; key < to; key++)
          if (!attention->mask[block + key]) row_scores[key] = -INFINITY;
      if (from >= to)
        memset(row_scores, 0, KARAT_KEY_BLOCK * sizeof *row_scores);
      else
        soften(
            row_scores, from, to, greatest + row, weight_sums + row, sums + row * value_size,
            value_size);
    }
    product(
        scores, KARAT_KEY_BLOCK, rows, length, packed_values + block * value_size, value_size,
        value_size, sums, value_size, true);
  }

  for (size_t row = 0; row < rows; row++) {
    size_t query = first + row / group, head = row % group;
    float factor = weight_sums[row] != 0 ? 1 / weight_sums[row] : 0;
    float *target = out + (query * attention->heads + head) * attention->value_size;
    for (size_t i = 0; i < attention->value_size; i++)
      target[i] = sums[row * value_size + i] * factor;
  }
}

INLINE float dot(const float *a, const float *b, size_t count) {
  floats sum = splat(0), sum2 = splat(0);
  size_t i = 0;
  for (; i + 2 * LANES <= count; i += 2 * LANES) {
    sum += load(a + i) * load(b + i);
    sum2 += load(a + i + LANES) * load(b + i + LANES);
  }
  for (; i < count; i += LANES)
    sum += load_first(a + i, count - i, 0) * load_first(b + i, count - i, 0);
  return sum_lanes(sum + sum2);
}

static void attention_row(
    const karat_attention *attention, const float *q, size_t query, const float *keys,
    const float *values, float *out, float *scratch) {
  size_t group = attention->heads / attention->key_value_heads;
  size_t head_size = attention->head_size, value_size = attention->value_size;
  size_t key_stride = attention->key_value_heads * head_size;
  size_t value_stride = attention->key_value_heads * value_size;
  key_range seen = visible_keys(attention, query);
  size_t count = seen.last - seen.first;
  for (size_t head = 0; head < group; head++) {
    const float *source = q + (query * attention->heads + head) * head_size;
    float *target = out + (query * attention->heads + head) * value_size;
    memset(target, 0, value_size * sizeof *target);
    if (count == 0) continue;
    float greatest = -INFINITY;
    for (size_t key = 0; key < count; key++) {
      float score =
          dot(source, keys + (seen.first + key) * key_stride, head_size) * attention->scale;
      if (attention->mask && !attention->mask[seen.first + key]) score = -INFINITY;
      scratch[key] = score;
      greatest = score > greatest ? score : greatest;
    }
    if (greatest == -INFINITY) greatest = 0;
    floats total_weight = splat(0);
    for (size_t key = 0; key < count; key += LANES) {
      size_t rest = count - key;
      floats scores =
          rest >= LANES ? load(scratch + key) : load_first(scratch + key, rest, -INFINITY);
      floats weight = weight_of(scores - greatest);
      if (rest >= LANES) store(scratch + key, weight);
      else store_first(scratch + key, rest, weight);
      total_weight += weight;
    }
    float sum = sum_lanes(total_weight), factor = sum != 0 ? 1 / sum : 0;
    for (size_t key = 0; key < count; key++) {
      float weight = scratch[key] * factor;
      const float *value = values + (seen.first + key) * value_stride;
      for (size_t i = 0; i < value_size; i++) target[i] += weight * value[i];
    }
  }
}
