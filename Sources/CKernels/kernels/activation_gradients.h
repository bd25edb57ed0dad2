// Gradients of activations and of SwiGLU.

#pragma once

#include "activations.h"

/// The logistic function 1 / (1 + e^-x), and its derivative.
typedef struct {
  floats value, slope;
} logistic;

/// From e^-|x|, so that nothing cancels and nothing overflows.
INLINE logistic logistic_of(floats x) {
  floats power = exponential_of(-magnitude(x)), inverse = 1.0f / (1.0f + power);
  return (logistic){choose(x < 0, power * inverse, inverse), power * inverse * inverse};
}

/// Phi(x) + x phi(x), with the normal distribution and its density.
INLINE floats gelu_slope_of(floats x) {
  floats half = 0.5f * complementary_error_of(magnitude(x) * 0.70710678118654752f);
  floats density = 0.39894228040143268f * exponential_of(-0.5f * x * x);
  return choose(x < 0, half, 1.0f - half) + x * density;
}

INLINE floats gelu_tanh_slope_of(floats x) {
  floats square = x * x;
  logistic s = logistic_of(1.5957691216057308f * (x + 0.044715f * square * x));
  return s.value + x * s.slope * (1.5957691216057308f * (1.0f + 0.134145f * square));
}

INLINE floats silu_slope_of(floats x) {
  logistic s = logistic_of(x);
  return s.value + x * s.slope;
}

INLINE floats slope_of(karat_activation activation, floats x) {
  switch (activation) {
    case KARAT_GELU: return gelu_slope_of(x);
    case KARAT_GELU_TANH: return gelu_tanh_slope_of(x);
    case KARAT_RELU: return choose(x <= 0, splat(0), splat(1));
    case KARAT_SILU: return silu_slope_of(x);
    case KARAT_TANH: return 4.0f * logistic_of(2.0f * x).slope;
  }
  return splat(1);
}

INLINE void activation_gradient_by(
    karat_activation activation, const float *x, const float *gradient, size_t count,
    float *to_x) {
  for (size_t i = 0; i < count; i += LANES)
    add_part(
        to_x, i, count,
        load_part(gradient, i, count) * slope_of(activation, load_part(x, i, count)));
}

static void activation_gradient(
    karat_activation activation, const float *x, const float *gradient, size_t count,
    float *to_x) {
  switch (activation) {
    case KARAT_GELU: activation_gradient_by(KARAT_GELU, x, gradient, count, to_x); break;
    case KARAT_GELU_TANH: activation_gradient_by(KARAT_GELU_TANH, x, gradient, count, to_x); break;
    case KARAT_RELU: activation_gradient_by(KARAT_RELU, x, gradient, count, to_x); break;
    case KARAT_SILU: activation_gradient_by(KARAT_SILU, x, gradient, count, to_x); break;
    case KARAT_TANH: activation_gradient_by(KARAT_TANH, x, gradient, count, to_x); break;
  }
}

static void swiglu_gradient(
    const float *gate, const float *up, const float *gradient, size_t count, float *to_gate,
    float *to_up) {
  for (size_t i = 0; i < count; i += LANES) {
    floats x = load_part(gate, i, count), g = load_part(gradient, i, count);
    logistic s = logistic_of(x);
    if (to_up) add_part(to_up, i, count, g * x * s.value);
    if (to_gate)
      add_part(to_gate, i, count, g * load_part(up, i, count) * (s.value + x * s.slope));
  }
}
