// Activations: functions of one number, applied to many.

#pragma once

#include "vector.h"

/// 1 - erf(x) for x >= 0, relative error below 4e-7 (a rational Chebyshev fit; Press et al.,
/// Numerical Recipes, 6.2).
INLINE floats complementary_error_of(floats x) {
  floats t = 1.0f / (1.0f + 0.5f * x);
  floats p = splat(0.17087277f);
  p = p * t - 0.82215223f;
  p = p * t + 1.48851587f;
  p = p * t - 1.13520398f;
  p = p * t + 0.27886807f;
  p = p * t - 0.18628806f;
  p = p * t + 0.09678418f;
  p = p * t + 0.37409196f;
  p = p * t + 1.00002368f;
  p = p * t - 1.26551223f;
  return t * exponential_of(p - x * x);
}

INLINE floats gelu_of(floats x) {
  floats half = 0.5f * complementary_error_of(magnitude(x) * 0.70710678118654752f);
  return x * choose(x < 0, half, 1.0f - half);
}

INLINE floats gelu_tanh_of(floats x) {
  floats twice = 1.5957691216057308f * (x + 0.044715f * x * x * x);
  return x / (1.0f + exponential_of(-twice));
}

INLINE floats tanh_of(floats x) {
  floats power = exponential_of(-2.0f * magnitude(x));
  floats size = (1.0f - power) / (1.0f + power);
  return choose(x < 0, -size, size);
}

INLINE floats activation_of(karat_activation activation, floats x) {
  switch (activation) {
    case KARAT_GELU: return gelu_of(x);
    case KARAT_GELU_TANH: return gelu_tanh_of(x);
    case KARAT_RELU: return choose(x < 0, splat(0), x);
    case KARAT_SILU: return x / (1.0f + exponential_of(-x));
    case KARAT_TANH: return tanh_of(x);
  }
  return x;
}

INLINE void activate_by(karat_activation activation, const float *x, size_t count, float *out) {
  size_t i = 0;
  for (; i + LANES <= count; i += LANES) store(out + i, activation_of(activation, load(x + i)));
  if (i < count)
    store_first(
        out + i, count - i, activation_of(activation, load_first(x + i, count - i, 0)));
}

static void activate(karat_activation activation, const float *x, size_t count, float *out) {
  switch (activation) {
    case KARAT_GELU: activate_by(KARAT_GELU, x, count, out); break;
    case KARAT_GELU_TANH: activate_by(KARAT_GELU_TANH, x, count, out); break;
    case KARAT_RELU: activate_by(KARAT_RELU, x, count, out); break;
    case KARAT_SILU: activate_by(KARAT_SILU, x, count, out); break;
    case KARAT_TANH: activate_by(KARAT_TANH, x, count, out); break;
  }
}
