// Operations on rows of floats: normalizations, rotary positions, SwiGLU, sums, the linear map of a
// few rows.

#pragma once

#include "vector.h"

static void rms_norm(
    const float *x, size_t rows, size_t features, const float *weight, float epsilon, float *out) {
  for (size_t row = 0; row < rows; row++, x += features, out += features) {
    floats squares = splat(0), squares2 = splat(0);
    size_t i = 0;
    for (; i + 2 * LANES <= features; i += 2 * LANES) {
      floats a = load(x + i), b = load(x + i + LANES);
      squares += a * a;
      squares2 += b * b;
    }
    for (; i < features; i += LANES) {
      floats a = load_first(x + i, features - i, 0);
      squares += a * a;
    }
    float factor = 1.0f / sqrtf(sum_lanes(squares + squares2) / (float)features + epsilon);
    for (i = 0; i + LANES <= features; i += LANES)
      store(out + i, load(x + i) * factor * load(weight + i));
    for (; i < features; i++) out[i] = x[i] * factor * weight[i];
  }
}

static void layer_norm(
    const float *x, size_t rows, size_t features, const float *weight, const float *bias,
    float epsilon, float *out) {
  for (size_t row = 0; row < rows; row++, x += features, out += features) {
    floats sum = splat(0);
    size_t i = 0;
    for (; i < features; i += LANES)
      sum += i + LANES <= features ? load(x + i) : load_first(x + i, features - i, 0);
    float mean = sum_lanes(sum) / (float)features;
    floats squares = splat(0);
    for (i = 0; i < features; i += LANES) {
      floats a = i + LANES <= features ? load(x + i) : load_first(x + i, features - i, mean);
      squares += (a - mean) * (a - mean);
    }
    float factor = 1.0f / sqrtf(sum_lanes(squares) / (float)features + epsilon);
    for (i = 0; i + LANES <= features; i += LANES)
      store(out + i, (load(x + i) - mean) * factor * load(weight + i) + load(bias + i));
    for (; i < features; i++) out[i] = (x[i] - mean) * factor * weight[i] + bias[i];
  }
}

INLINE void rotate_halves(
    const float *x, size_t pairs, const float *cosine, const float *sine, float *out) {
  size_t i = 0;
  for (; i + LANES <= pairs; i += LANES) {
    floats a = load(x + i), b = load(x + pairs + i), c = load(cosine + i), s = load(sine + i);
    store(out + i, a * c - b * s);
    store(out + pairs + i, b * c + a * s);
  }
  for (; i < pairs; i++) {
    float a = x[i], b = x[pairs + i];
    out[i] = a * cosine[i] - b * sine[i];
    out[pairs + i] = b * cosine[i] + a * sine[i];
  }
}

INLINE void rotate_neighbours(
    const float *x, size_t pairs, const float *cosine, const float *sine, float *out) {
  for (size_t i = 0; i < pairs; i++) {
    float a = x[2 * i], b = x[2 * i + 1];
    out[2 * i] = a * cosine[i] - b * sine[i];
    out[2 * i + 1] = b * cosine[i] + a * sine[i];
  }
}

static void rope(
    const karat_rotation *rotation, const float *x, size_t positions, const float *cosines,
    const float *sines, float *out) {
  size_t pairs = rotation->pairs, first = rotation->first, end = first + 2 * pairs;
  size_t size = rotation->head_size;
  for (size_t position = 0; position < positions; position++) {
    const float *cosine = cosines + position * pairs, *sine = sines + position * pairs;
    for (size_t head = 0; head < rotation->heads; head++, x += size, out += size) {
      if (rotation->neighbours) rotate_neighbours(x + first, pairs, cosine, sine, out + first);
      else rotate_halves(x + first, pairs, cosine, sine, out + first);
      if (out == x) continue;
      memcpy(out, x, first * sizeof *x);
      memcpy(out + end, x + end, (size - end) * sizeof *x);
    }
  }
}

INLINE floats swiglu_of(floats gate, floats up) {
  return gate / (1.0f + exponential_of(-gate)) * up;
}

static void swiglu(const float *gate, const float *up, size_t count, float *out) {
  size_t i = 0;
  for (; i + LANES <= count; i += LANES) store(out + i, swiglu_of(load(gate + i), load(up + i)));
  if (i < count) {
    size_t rest = count - i;
    store_first(
        out + i, rest, swiglu_of(load_first(gate + i, rest, 0), load_first(up + i, rest, 0)));
  }
}

static void add(const float *a, const float *b, size_t count, float *out) {
  for (size_t i = 0; i < count; i++) out[i] = a[i] + b[i];
}

static void exponential(const float *x, size_t count, float *out) {
  size_t i = 0;
  for (; i + LANES <= count; i += LANES) store(out + i, exponential_of(load(x + i)));
  if (i < count) store_first(out + i, count - i, exponential_of(load_first(x + i, count - i, 0)));
}

/// `rows` dot products of x [rows, inputs] with each of `outputs` (1 or 2) rows of weight, which
/// are read once.
INLINE void dot_products(
    const float *x, size_t rows, size_t inputs, const float *weight, size_t outputs,
    const float *bias, float *out, size_t stride) {
  floats sums[2][4][2];
  for (size_t o = 0; o < outputs; o++)
    for (size_t r = 0; r < rows; r++) sums[o][r][0] = sums[o][r][1] = splat(0);
  size_t i = 0;
  for (; i + 2 * LANES <= inputs; i += 2 * LANES)
    for (size_t part = 0; part < 2; part++)
      for (size_t o = 0; o < outputs; o++) {
        floats w = load(weight + o * inputs + i + part * LANES);
        for (size_t r = 0; r < rows; r++)
          sums[o][r][part] += w * load(x + r * inputs + i + part * LANES);
      }
  for (; i < inputs; i += LANES)
    for (size_t o = 0; o < outputs; o++) {
      floats w = load_first(weight + o * inputs + i, inputs - i, 0);
      for (size_t r = 0; r < rows; r++)
        sums[o][r][0] += w * load_first(x + r * inputs + i, inputs - i, 0);
    }
  for (size_t o = 0; o < outputs; o++)
    for (size_t r = 0; r < rows; r++)
      out[r * stride + o] = sum_lanes(sums[o][r][0] + sums[o][r][1]) + (bias ? bias[o] : 0.0f);
}

INLINE void linear_of(
    const float *x, size_t rows, size_t inputs, const float *weight, size_t outputs,
    const float *bias, float *out, size_t stride) {
  size_t o = 0;
  for (; o + 2 <= outputs; o += 2)
    dot_products(
        x, rows, inputs, weight + o * inputs, 2, bias ? bias + o : NULL, out + o, stride);
  if (o < outputs)
    dot_products(
        x, rows, inputs, weight + o * inputs, 1, bias ? bias + o : NULL, out + o, stride);
}

static void linear_few_rows(
    const float *x, size_t rows, size_t inputs, const float *weight, size_t outputs,
    const float *bias, float *out, size_t stride) {
  switch (rows) {
    case 1: linear_of(x, 1, inputs, weight, outputs, bias, out, stride); break;
    case 2: linear_of(x, 2, inputs, weight, outputs, bias, out, stride); break;
    case 3: linear_of(x, 3, inputs, weight, outputs, bias, out, stride); break;
    case 4: linear_of(x, 4, inputs, weight, outputs, bias, out, stride); break;
    default: break;
  }
}
