// Gradients of a router of experts.

#pragma once

#include "routing.h"

/// logits' gradient += scores * (gradient - sum of scores * gradient), for scores by softmax.
static void add_softmax_gradient(
    const float *scores, const float *gradient, size_t count, float factor, float *into) {
  float mean = 0;
  for (size_t i = 0; i < count; i++) mean += scores[i] * gradient[i];
  for (size_t i = 0; i < count; i++) into[i] += factor * scores[i] * (gradient[i] - mean);
}

static void route_gradient(
    const karat_routing *routing, const float *logits, const int32_t *indices,
    const float *gradient, size_t rows, float *into, float *scratch) {
  size_t experts = routing->experts, chosen = routing->chosen;
  float *scores = scratch, *score_gradient = scores + experts;
  for (size_t row = 0; row < rows; row++, indices += chosen, gradient += chosen) {
    score_experts(routing, logits + row * experts, scores);
    float total = 1e-20f, mean = 0;
    if (routing->normalizes) {
      for (size_t i = 0; i < chosen; i++) total += scores[indices[i]];
      for (size_t i = 0; i < chosen; i++) mean += gradient[i] * scores[indices[i]] / total;
    } else {
      total = 1;
    }
    for (size_t i = 0; i < experts; i++) score_gradient[i] = 0;
    for (size_t i = 0; i < chosen; i++)
      score_gradient[indices[i]] = routing->scale * (gradient[i] - mean) / total;
    float *target = into + row * experts;
    if (routing->sigmoid)
      for (size_t i = 0; i < experts; i++)
        target[i] += score_gradient[i] * scores[i] * (1.0f - scores[i]);
    else
      add_softmax_gradient(scores, score_gradient, experts, 1, target);
  }
}

static const karat_routing *softmax_routing(karat_routing *routing, size_t experts) {
  *routing = (karat_routing){.experts = experts, .sigmoid = false};
  return routing;
}

static double balance_gradient(
    const float *logits, size_t rows, size_t experts, const float *loads, float factor,
    float *into, float *scratch) {
  karat_routing routing;
  double sum = 0;
  for (size_t row = 0; row < rows; row++) {
    score_experts(softmax_routing(&routing, experts), logits + row * experts, scratch);
    for (size_t i = 0; i < experts; i++) sum += (double)scratch[i] * loads[i];
    if (into) add_softmax_gradient(scratch, loads, experts, factor, into + row * experts);
  }
  return sum;
}

static double entropy_gradient(
    const float *logits, size_t rows, size_t experts, float factor, float *into,
    float *scratch) {
  karat_routing routing;
  float *scores = scratch, *surprises = scratch + experts;
  double sum = 0;
  for (size_t row = 0; row < rows; row++) {
    const float *x = logits + row * experts;
    score_experts(softmax_routing(&routing, experts), x, scores);
    for (size_t i = 0; i < experts; i++) {
      surprises[i] = scores[i] > 0 ? -logf(scores[i]) : 0;
      sum += (double)scores[i] * surprises[i];
    }
    // The constant that the entropy's gradient has beside the surprise falls out of the softmax's.
    if (into) add_softmax_gradient(scores, surprises, experts, factor, into + row * experts);
  }
  return sum;
}
