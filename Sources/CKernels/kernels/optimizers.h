// Steps of optimizers, one pass over a parameter, its gradient and its moments; and what a
// gradient's size is.

#pragma once

#include "vector.h"

INLINE void adamw_part(
    const karat_adamw *step, floats *parameter, floats gradient, floats *first, floats *second) {
  floats g = gradient * step->gradient_scale;
  *first = *first * step->beta1 + g * step->fresh1;
  *second = *second * step->beta2 + g * g * step->fresh2;
  floats root = __builtin_elementwise_sqrt(*second) * step->root_scale + step->epsilon;
  *parameter = *parameter * step->keep - step->step * (*first / root);
}

static void adamw(
    const karat_adamw *step, float *parameter, float *gradient, float *first_moment,
    float *second_moment, size_t count) {
  size_t i = 0;
  for (; i + LANES <= count; i += LANES) {
    floats p = load(parameter + i), m = load(first_moment + i), v = load(second_moment + i);
    adamw_part(step, &p, load(gradient + i), &m, &v);
    store(parameter + i, p);
    store(first_moment + i, m);
    store(second_moment + i, v);
  }
  if (i < count) {
    size_t rest = count - i;
    floats p = load_first(parameter + i, rest, 0), m = load_first(first_moment + i, rest, 0);
    floats v = load_first(second_moment + i, rest, 0);
    adamw_part(step, &p, load_first(gradient + i, rest, 0), &m, &v);
    store_first(parameter + i, rest, p);
    store_first(first_moment + i, rest, m);
    store_first(second_moment + i, rest, v);
  }
  memset(gradient, 0, count * sizeof *gradient);
}

INLINE void lion_part(const karat_lion *step, floats *parameter, floats gradient, floats *moment) {
  floats g = gradient * step->gradient_scale;
  floats direction = *moment * step->beta1 + g * step->fresh1;
  floats sign = choose(direction > 0, splat(1), choose(direction < 0, splat(-1), splat(0)));
  *moment = *moment * step->beta2 + g * step->fresh2;
  *parameter = *parameter * step->keep - step->rate * sign;
}

static void lion(
    const karat_lion *step, float *parameter, float *gradient, float *moment, size_t count) {
  size_t i = 0;
  for (; i + LANES <= count; i += LANES) {
    floats p = load(parameter + i), m = load(moment + i);
    lion_part(step, &p, load(gradient + i), &m);
    store(parameter + i, p);
    store(moment + i, m);
  }
  if (i < count) {
    size_t rest = count - i;
    floats p = load_first(parameter + i, rest, 0), m = load_first(moment + i, rest, 0);
    lion_part(step, &p, load_first(gradient + i, rest, 0), &m);
    store_first(parameter + i, rest, p);
    store_first(moment + i, rest, m);
  }
  memset(gradient, 0, count * sizeof *gradient);
}

/// Squares of doubles do not overflow for any float, so the sum is finite where all elements are.
static double sum_of_squares(const float *x, size_t count) {
  half_doubles sums[2] = {{0}, {0}};
  size_t i = 0;
  for (; i + LANES <= count; i += LANES)
    for (size_t part = 0; part < 2; part++) {
      half_floats narrow;
      memcpy(&narrow, x + i + part * LANES / 2, sizeof narrow);
      half_doubles wide = __builtin_convertvector(narrow, half_doubles);
      sums[part] += wide * wide;
    }
  double result = 0;
  for (; i < count; i++) result += (double)x[i] * (double)x[i];
  half_doubles both = sums[0] + sums[1];
  for (size_t lane = 0; lane < LANES / 2; lane++) result += both[lane];
  return result;
}
