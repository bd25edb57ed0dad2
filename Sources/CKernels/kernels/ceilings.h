// The most that a core can multiply and add: what products are measured against.

#pragma once

#include "vector.h"

#define CHAINS 12

/// Chains of fused multiplications and additions, as many as hide their latency.
static size_t multiply_adds(size_t rounds, float *out) {
  floats sums[CHAINS];
  floats a = in_register(splat(0.999f)), b = in_register(splat(1e-3f));
  for (size_t i = 0; i < CHAINS; i++) sums[i] = splat((float)i);
  for (size_t round = 0; round < rounds; round++)
    for (size_t i = 0; i < CHAINS; i++) sums[i] = in_register(sums[i] * a + b);
  floats sum = splat(0);
  for (size_t i = 0; i < CHAINS; i++) sum += sums[i];
  store_first(out, 1, sum);
  return 2 * CHAINS * LANES;
}
