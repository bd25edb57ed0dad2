// A mixture of experts: which experts a token reaches, and the sum of what they give.

#pragma once

#include "rows.h"

/// The place of the greatest value, the first of equals; values that are NaN are out of the running,
/// and one at least is not.
INLINE size_t greatest_place(const float *values, size_t count) {
  size_t best = count;
  for (size_t i = 0; i < count; i++)
    if (values[i] == values[i] && (best == count || values[i] > values[best])) best = i;
  return best;
}

/// What cannot be compared ranks last.
INLINE float ranked(float value) { return value == value ? value : -INFINITY; }

static void score_experts(const karat_routing *routing, const float *logits, float *scores) {
  size_t experts = routing->experts;
  if (routing->sigmoid) {
    for (size_t i = 0; i < experts; i++) scores[i] = -logits[i];
    exponential(scores, experts, scores);
    for (size_t i = 0; i < experts; i++) scores[i] = 1.0f / (1.0f + scores[i]);
    return;
  }
  float greatest = -INFINITY, total = 0;
  for (size_t i = 0; i < experts; i++) greatest = logits[i] > greatest ? logits[i] : greatest;
  for (size_t i = 0; i < experts; i++) scores[i] = logits[i] - greatest;
  exponential(scores, experts, scores);
  for (size_t i = 0; i < experts; i++) total += scores[i];
  for (size_t i = 0; i < experts; i++) scores[i] /= total;
}

/// Takes the experts of all groups but the best out of the running.
static void keep_best_groups(
    const karat_routing *routing, float *candidates, float *group_scores) {
  size_t groups = routing->groups, size = routing->experts / groups;
  for (size_t group = 0; group < groups; group++) {
    const float *members = candidates + group * size;
    float first = -INFINITY, second = -INFINITY;
    for (size_t i = 0; i < size; i++) {
      if (members[i] > first) {
        second = first;
        first = members[i];
      } else if (members[i] > second) {
        second = members[i];
      }
    }
    group_scores[group] = ranked(routing->sums_two && size > 1 ? first + second : first);
  }
  for (size_t kept = 0; kept < routing->kept_groups; kept++)
    group_scores[greatest_place(group_scores, groups)] = NAN;
  for (size_t group = 0; group < groups; group++)
    if (group_scores[group] == group_scores[group])
      for (size_t i = 0; i < size; i++) candidates[group * size + i] = NAN;
}

static void route(
    const karat_routing *routing, const float *logits, const float *bias, size_t rows,
    float *weights, int32_t *indices, float *scratch) {
  size_t experts = routing->experts, chosen = routing->chosen;
  float *scores = scratch, *candidates = scores + experts, *group_scores = candidates + experts;
  for (size_t row = 0; row < rows; row++, weights += chosen, indices += chosen) {
    score_experts(routing, logits + row * experts, scores);
    for (size_t i = 0; i < experts; i++)
      candidates[i] = ranked(bias ? scores[i] + bias[i] : scores[i]);
    if (routing->kept_groups < routing->groups)
      keep_best_groups(routing, candidates, group_scores);
    float total = 1e-20f;
    for (size_t i = 0; i < chosen; i++) {
      size_t expert = greatest_place(candidates, experts);
      candidates[expert] = NAN;
      indices[i] = (int32_t)expert;
      weights[i] = scores[expert];
      total += scores[expert];
    }
    for (size_t i = 0; i < chosen; i++)
      weights[i] = (routing->normalizes ? weights[i] / total : weights[i]) * routing->scale;
  }
}

static void weighted_sum(
    const float *const *rows, const float *weights, size_t count, size_t features, float *out) {
  for (size_t i = 0; i < features; i++) out[i] = weights[0] * rows[0][i];
  for (size_t row = 1; row < count; row++) {
    const float *source = rows[row];
    float weight = weights[row];
    for (size_t i = 0; i < features; i++) out[i] += weight * source[i];
  }
}
