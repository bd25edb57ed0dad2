// Gradients through rounding: straight through within the range of the codes.

#pragma once

#include "vector.h"

static karat_range_gradient quantize_gradient(
    const float *x, const float *gradient, size_t count, float scale, float low, float high,
    bool clipped_only, float *into) {
  double_sum steps_sum = {{0}, {0}}, clipped_sum = {{0}, {0}};
  for (size_t i = 0; i < count; i += LANES) {
    size_t rest = count - i;
    bool whole = rest >= LANES;
    floats g = whole ? load(gradient + i) : load_first(gradient + i, rest, 0);
    floats steps = (whole ? load(x + i) : load_first(x + i, rest, 0)) / scale;
    // One beyond either bound is outside, however far; the bounds are small whole numbers.
    floats rounded = round_small(greater_of(lesser_of(steps, splat(high + 1)), splat(low - 1)));
    ints inside = (rounded >= low) & (rounded <= high);
    ints number = steps == steps;
    floats code = greater_of(lesser_of(rounded, splat(high)), splat(low));
    floats off = clipped_only ? splat(0) : rounded - steps;
    add_to(&steps_sum, as_floats(number & as_ints(g * choose(inside, off, code))));
    add_to(&clipped_sum, as_floats(number & ~inside & as_ints(g)));
    if (!into) continue;
    floats passed = as_floats(inside & number & as_ints(g));
    if (whole) store(into + i, load(into + i) + passed);
    else store_first(into + i, rest, load_first(into + i, rest, 0) + passed);
  }
  return (karat_range_gradient){total(&steps_sum), -(double)scale * total(&clipped_sum)};
}
