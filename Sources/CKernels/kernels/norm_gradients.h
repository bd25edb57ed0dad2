// Gradients of normalizations of rows.

#pragma once

#include "vector.h"

/// With r = 1 / sqrt(mean(x^2) + epsilon) and g = gradient * weight: x gets
/// r (g - x r^2 mean(g x)), the weight gets gradient x r.
static void rms_norm_gradient(
    const float *x, size_t rows, size_t features, const float *weight, float epsilon,
    const float *gradient, float *to_x, float *to_weight) {
  for (size_t row = 0; row < rows; row++, x += features, gradient += features) {
    floats squares = splat(0), products = splat(0);
    for (size_t i = 0; i < features; i += LANES) {
      floats v = load_part(x, i, features);
      squares += v * v;
      products += v * load_part(gradient, i, features) * load_part(weight, i, features);
    }
    float factor = 1.0f / sqrtf(sum_lanes(squares) / (float)features + epsilon);
    float along = factor * factor * factor * (sum_lanes(products) / (float)features);
    for (size_t i = 0; i < features; i += LANES) {
      floats v = load_part(x, i, features), g = load_part(gradient, i, features);
      if (to_weight) add_part(to_weight, i, features, g * v * factor);
      if (to_x)
        add_part(
            to_x, i, features, g * load_part(weight, i, features) * factor - v * along);
    }
    if (to_x) to_x += features;
  }
}

/// With r = 1 / sqrt(variance + epsilon), n = (x - mean) r and g = gradient * weight: x gets
/// r (g - mean(g) - n mean(g n)), the weight gets gradient n, the bias the gradient.
static void layer_norm_gradient(
    const float *x, size_t rows, size_t features, const float *weight, float epsilon,
    const float *gradient, float *to_x, float *to_weight, float *to_bias) {
  float count = (float)features;
  for (size_t row = 0; row < rows; row++, x += features, gradient += features) {
    floats sum = splat(0), upstream = splat(0);
    for (size_t i = 0; i < features; i += LANES) {
      sum += load_part(x, i, features);
      upstream += load_part(gradient, i, features) * load_part(weight, i, features);
    }
    float mean = sum_lanes(sum) / count, upstream_mean = sum_lanes(upstream) / count;
    floats squares = splat(0), products = splat(0);
    for (size_t i = 0; i < features; i += LANES) {
      floats v = i + LANES <= features ? load(x + i) : load_first(x + i, features - i, mean);
      v -= mean;
      squares += v * v;
      products += v * load_part(gradient, i, features) * load_part(weight, i, features);
    }
    float factor = 1.0f / sqrtf(sum_lanes(squares) / count + epsilon);
    float along = factor * factor * (sum_lanes(products) / count);
    for (size_t i = 0; i < features; i += LANES) {
      floats v = load_part(x, i, features) - mean, g = load_part(gradient, i, features);
      if (to_weight) add_part(to_weight, i, features, g * v * factor);
      if (to_bias) add_part(to_bias, i, features, g);
      if (to_x)
        add_part(
            to_x, i, features,
            (g * load_part(weight, i, features) - upstream_mean - v * along) * factor);
    }
    if (to_x) to_x += features;
  }
}
