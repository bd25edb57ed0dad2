// Ranges, histograms and distances of runs of floats. NaN is passed over by ranges and histograms.

#pragma once

#include "vector.h"

static karat_extremes extremes(const float *x, size_t count) {
  floats least = splat(INFINITY), greatest = splat(-INFINITY);
  ints unusual = (ints){0};
  size_t i = 0;
  for (; i + LANES <= count; i += LANES) {
    floats v = load(x + i);
    least = lesser_of(v, least);
    greatest = greater_of(v, greatest);
    unusual |= ~(magnitude(v) < INFINITY);
  }
  karat_extremes result = {least_lane(least), greatest_lane(greatest), true};
  for (size_t lane = 0; lane < LANES; lane++)
    if (unusual[lane]) result.finite = false;
  for (; i < count; i++) {
    if (x[i] < result.minimum) result.minimum = x[i];
    if (x[i] > result.maximum) result.maximum = x[i];
    if (!(fabsf(x[i]) < INFINITY)) result.finite = false;
  }
  return result;
}

static float absolute_maximum(const float *x, size_t count) {
  floats greatest = splat(0);
  size_t i = 0;
  for (; i + LANES <= count; i += LANES)
    greatest = greater_of(magnitude(load(x + i)), greatest);
  float result = greatest_lane(greatest);
  for (; i < count; i++) result = fabsf(x[i]) > result ? fabsf(x[i]) : result;
  return result;
}

static void column_absolute_maxima(
    const float *x, size_t rows, size_t columns, size_t stride, float *maxima) {
  for (size_t row = 0; row < rows; row++, x += stride)
    for (size_t i = 0; i < columns; i++) {
      float size = fabsf(x[i]);
      maxima[i] = size > maxima[i] ? size : maxima[i];
    }
}

static void histogram(
    const float *x, size_t count, float lower, float upper, size_t bins, uint64_t *into) {
  // In double precision, so that bins beyond 2^24 and narrow ranges count right.
  double low = lower, factor = (double)bins / ((double)upper - low), last = (double)(bins - 1);
  for (size_t i = 0; i < count; i++) {
    double place = ((double)x[i] - low) * factor;
    if (place != place) continue;
    place = place < 0 ? 0 : place > last ? last : place;
    into[(size_t)place]++;
  }
}

static double squared_difference(const float *a, const float *b, size_t count) {
  double_sum sum = {{0}, {0}};
  for (size_t i = 0; i < count; i += LANES) {
    size_t rest = count - i;
    floats d = rest >= LANES ? load(a + i) - load(b + i)
                             : load_first(a + i, rest, 0) - load_first(b + i, rest, 0);
    add_to(&sum, d * d);
  }
  return total(&sum);
}
