// Vectors of the width of the instruction set being compiled: LANES floats.
// Reductions run in a fixed order, so a result depends on the instruction set and the shape alone.

#pragma once

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "CKernels.h"

typedef float floats __attribute__((vector_size(4 * LANES)));
typedef int32_t ints __attribute__((vector_size(4 * LANES)));
typedef double half_doubles __attribute__((vector_size(4 * LANES)));
typedef float half_floats __attribute__((vector_size(2 * LANES)));

#define INLINE static inline __attribute__((always_inline))

/// Multiplications and additions may fuse where the instruction set has FMA.
#pragma clang fp contract(fast)

INLINE floats load(const float *p) {
  floats v;
  memcpy(&v, p, sizeof v);
  return v;
}

INLINE void store(float *p, floats v) { memcpy(p, &v, sizeof v); }

/// The first `count` lanes from memory, `fill` in the others.
INLINE floats load_first(const float *p, size_t count, float fill) {
  float lanes[LANES];
  for (size_t i = 0; i < LANES; i++) lanes[i] = i < count ? p[i] : fill;
  return load(lanes);
}

INLINE void store_first(float *p, size_t count, floats v) {
  float lanes[LANES];
  store(lanes, v);
  for (size_t i = 0; i < count; i++) p[i] = lanes[i];
}

/// LANES elements of a row from element i on, zeros beyond its end.
INLINE floats load_part(const float *row, size_t i, size_t count) {
  return i + LANES <= count ? load(row + i) : load_first(row + i, count - i, 0);
}

/// Adds v to them.
INLINE void add_part(float *row, size_t i, size_t count, floats v) {
  if (i + LANES <= count) store(row + i, load(row + i) + v);
  else store_first(row + i, count - i, load_first(row + i, count - i, 0) + v);
}

/// Minus zero is no operation for the compiler; plus zero is one, since it changes -0.
INLINE floats splat(float x) { return x - (floats){0}; }

INLINE floats as_floats(ints v) { return (floats)v; }
INLINE ints as_ints(floats v) { return (ints)v; }

/// a where the mask is set, else b.
INLINE floats choose(ints mask, floats a, floats b) {
  return as_floats((mask & as_ints(a)) | (~mask & as_ints(b)));
}

/// The greater; where either is NaN, b.
INLINE floats greater_of(floats a, floats b) { return choose(a > b, a, b); }
INLINE floats lesser_of(floats a, floats b) { return choose(a < b, a, b); }
INLINE floats magnitude(floats v) { return as_floats(as_ints(v) & 0x7fffffff); }

/// Round to nearest, ties to even, for |v| < 2^22.
INLINE floats round_small(floats v) { return (v + 12582912.0f) - 12582912.0f; }

INLINE float sum_lanes(floats v) {
  float lanes[LANES];
  store(lanes, v);
  for (size_t width = LANES / 2; width > 0; width /= 2)
    for (size_t i = 0; i < width; i++) lanes[i] += lanes[i + width];
  return lanes[0];
}

INLINE float greatest_lane(floats v) {
  float greatest = v[0];
  for (size_t i = 1; i < LANES; i++) greatest = v[i] > greatest ? v[i] : greatest;
  return greatest;
}

INLINE float least_lane(floats v) {
  float least = v[0];
  for (size_t i = 1; i < LANES; i++) least = v[i] < least ? v[i] : least;
  return least;
}

/// A pointer that the compiler knows nothing about. Three rows are within reach of one address
/// (base, base + stride, base + 2 stride); told the rest, the compiler derives each row's address
/// from the first one's at every step, which costs more than the arithmetic.
INLINE const void *opaque(const void *pointer) {
  __asm__("" : "+r"(pointer));
  return pointer;
}

#define ROWS_PER_BASE 3

/// A vector that stays in a register, where the compiler would load (and broadcast) it again for
/// each use: loads are as scarce as arithmetic in a product.
INLINE floats in_register(floats v) {
#if defined(__aarch64__)
  __asm__("" : "+w"(v));
#elif defined(__x86_64__)
  __asm__("" : "+v"(v));
#endif
  return v;
}

/// sum += a b, in the sum's own register. Left to itself, the compiler takes the form of the
/// instruction that overwrites a factor, runs out of registers, and keeps a sum in memory: its chain
/// of additions then takes twice the time.
INLINE void fused_add(floats *sum, floats a, floats b) {
#if defined(__x86_64__) && LANES > 4
  __asm__("vfmadd231ps %2, %1, %0" : "+v"(*sum) : "v"(a), "v"(b));
#else
  *sum += a * b;
#endif
}

/// Keeps the compiler from ordering the steps of a product row by row, as chains of dependent sums.
INLINE void end_of_step(void) { __asm__ volatile("" ::: "memory"); }

/// A sum of floats, kept in double precision.
typedef struct {
  half_doubles low, high;
} double_sum;

INLINE void add_to(double_sum *sum, floats v) {
  half_floats low, high;
  memcpy(&low, &v, sizeof low);
  memcpy(&high, (const char *)&v + sizeof low, sizeof high);
  sum->low += __builtin_convertvector(low, half_doubles);
  sum->high += __builtin_convertvector(high, half_doubles);
}

INLINE double total(const double_sum *sum) {
  half_doubles both = sum->low + sum->high;
  double result = 0;
  for (size_t i = 0; i < LANES / 2; i++) result += both[i];
  return result;
}

/// e^x: relative error below 2e-7; subnormal results as such, 0 below, infinity above, NaN for NaN.
///
/// x = n ln 2 + r with |r| <= ln 2 / 2, and e^r by a polynomial that is least off over that range.
INLINE floats exponential_of(floats x) {
  const floats highest = splat(89.0f), lowest = splat(-105.0f);
  floats clamped = choose(x > highest, highest, choose(x < lowest, lowest, x));
  floats n = round_small(clamped * 1.44269504088896341f);
  floats r = clamped - n * 0.693359375f;
  r = r - n * -2.12194440e-4f;
  floats p = splat(1.9875691500e-4f);
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  // 2^n in two factors, since n may lie outside of a float's exponents. NaN converts to some
  // integer; p is NaN then, and stays so.
  ints whole = as_ints(n + 12582912.0f) - 0x4b400000;
  ints first = whole >> 1;
  ints second = whole - first;
  return p * as_floats((first + 127) << 23) * as_floats((second + 127) << 23);
}
