// The gradient of rotary positions: a rotation by the negative angle.

#pragma once

#include "vector.h"

INLINE void add_turned_halves(
    const float *g, size_t pairs, const float *cosine, const float *sine, float *to) {
  size_t i = 0;
  for (; i + LANES <= pairs; i += LANES) {
    floats a = load(g + i), b = load(g + pairs + i), c = load(cosine + i), s = load(sine + i);
    store(to + i, load(to + i) + (a * c + b * s));
    store(to + pairs + i, load(to + pairs + i) + (b * c - a * s));
  }
  for (; i < pairs; i++) {
    to[i] += g[i] * cosine[i] + g[pairs + i] * sine[i];
    to[pairs + i] += g[pairs + i] * cosine[i] - g[i] * sine[i];
  }
}

INLINE void add_turned_neighbours(
    const float *g, size_t pairs, const float *cosine, const float *sine, float *to) {
  for (size_t i = 0; i < pairs; i++) {
    to[2 * i] += g[2 * i] * cosine[i] + g[2 * i + 1] * sine[i];
    to[2 * i + 1] += g[2 * i + 1] * cosine[i] - g[2 * i] * sine[i];
  }
}

static void rope_gradient(
    const karat_rotation *rotation, const float *gradient, size_t positions, const float *cosines,
    const float *sines, float *to_x) {
  size_t pairs = rotation->pairs, first = rotation->first, end = first + 2 * pairs;
  size_t size = rotation->head_size;
  for (size_t position = 0; position < positions; position++) {
    const float *cosine = cosines + position * pairs, *sine = sines + position * pairs;
    for (size_t head = 0; head < rotation->heads; head++, gradient += size, to_x += size) {
      if (rotation->neighbours)
        add_turned_neighbours(gradient + first, pairs, cosine, sine, to_x + first);
      else
        add_turned_halves(gradient + first, pairs, cosine, sine, to_x + first);
      for (size_t i = 0; i < first; i++) to_x[i] += gradient[i];
      for (size_t i = end; i < size; i++) to_x[i] += gradient[i];
    }
  }
}
