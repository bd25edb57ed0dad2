// float32 to GGUF's blocks of 32 elements, bit for bit as the reference encoder does; as in
// blocks.h, nothing may fuse. Each function says whether the block can hold its elements: they are
// finite, and so is the scale as float16.

#pragma once

#include "casts.h"

#pragma clang fp contract(off)

#define BLOCK 32

INLINE void store_half(uint8_t *p, float x, bool *fits) {
  uint16_t half = f16_of(bits_of(x));
  *fits = *fits && (half & 0x7c00) != 0x7c00;
  memcpy(p, &half, sizeof half);
}

/// The bits of the largest magnitude: as integers, since those of NaN and infinity are larger.
INLINE int32_t largest_magnitude(const float *x) {
  int32_t largest = 0;
  for (int l = 0; l < BLOCK; l++) {
    int32_t size = (int32_t)(bits_of(x[l]) & 0x7fffffff);
    largest = size > largest ? size : largest;
  }
  return largest;
}

INLINE bool is_finite_magnitude(int32_t size) { return size < 0x7f800000; }

/// The element of the largest magnitude, the first where there are several.
INLINE float extreme(const float *x, int32_t size) {
  for (int l = 0; l < BLOCK; l++)
    if ((int32_t)(bits_of(x[l]) & 0x7fffffff) == size) return x[l];
  return 0;
}

/// Bits that order as integers as their floats do.
INLINE int32_t order_of(float x) {
  int32_t bits = (int32_t)bits_of(x);
  return bits ^ (bits >> 31 & 0x7fffffff);
}

INLINE void range_of(const float *x, float *least, float *greatest) {
  int32_t low = order_of(x[0]), high = low;
  for (int l = 1; l < BLOCK; l++) {
    int32_t order = order_of(x[l]);
    low = order < low ? order : low;
    high = order > high ? order : high;
  }
  *least = float_of((uint32_t)(low ^ (low >> 31 & 0x7fffffff)));
  *greatest = float_of((uint32_t)(high ^ (high >> 31 & 0x7fffffff)));
  // Of zeros of both signs the first counts.
  if (*least == 0)
    for (int l = 0; l < BLOCK; l++)
      if (x[l] == 0) {
        *least = x[l];
        break;
      }
}

/// Whole part within 0…largest; a scale so small that its reciprocal is infinite may ask for more.
INLINE int bounded(float x, float largest) {
  x = x > 0 ? x : 0;
  return (int)(x < largest ? x : largest);
}

/// Codes of 4 or 5 bits: the low four in 16 bytes, the fifth bits in a word before them.
INLINE void store_codes(const int *codes, bool has_fifth, uint8_t *out) {
  if (has_fifth) {
    uint32_t high = 0;
    for (int l = 0; l < BLOCK; l++) high |= (uint32_t)(codes[l] >> 4 & 1) << l;
    memcpy(out, &high, sizeof high);
    out += sizeof high;
  }
  for (int l = 0; l < BLOCK / 2; l++)
    out[l] = (uint8_t)((codes[l] & 15) | (codes[l + BLOCK / 2] & 15) << 4);
}

/// Q4_0 and Q5_0: the element of the largest magnitude becomes the lowest code, minus 2^(bits - 1).
INLINE bool encode_centred(const float *restrict x, int bits, uint8_t *restrict out) {
  int32_t size = largest_magnitude(x);
  float centre = (float)(1 << (bits - 1)), d = extreme(x, size) / -centre;
  float inverse = d == 0 ? 0 : 1 / d;
  bool fits = is_finite_magnitude(size);
  int codes[BLOCK];
  for (int l = 0; l < BLOCK; l++)
    codes[l] = bounded(x[l] * inverse + (centre + 0.5f), 2 * centre - 1);
  store_half(out, d, &fits);
  store_codes(codes, bits == 5, out + 2);
  return fits;
}

/// Q4_1 and Q5_1: codes count from the least element up.
INLINE bool encode_from_least(const float *restrict x, int bits, uint8_t *restrict out) {
  float least, greatest, steps = (float)((1 << bits) - 1);
  range_of(x, &least, &greatest);
  float d = (greatest - least) / steps, inverse = d == 0 ? 0 : 1 / d;
  bool fits = is_finite_magnitude(largest_magnitude(x));
  int codes[BLOCK];
  for (int l = 0; l < BLOCK; l++) codes[l] = bounded((x[l] - least) * inverse + 0.5f, steps);
  store_half(out, d, &fits);
  store_half(out + 2, least, &fits);
  store_codes(codes, bits == 5, out + 4);
  return fits;
}

INLINE bool encode_q8_0(const float *restrict x, uint8_t *restrict out) {
  int32_t size = largest_magnitude(x);
  float d = float_of((uint32_t)size) / 127, inverse = d == 0 ? 0 : 1 / d;
  bool fits = is_finite_magnitude(size);
  int8_t *codes = (int8_t *)out + 2;
  for (int l = 0; l < BLOCK; l++) {
    // Halves round away from zero.
    float scaled = x[l] * inverse, positive = float_of(bits_of(scaled) & 0x7fffffff);
    float capped = positive < 127 ? positive : 127;
    int whole = (int)capped;
    int rounded = whole + (capped - (float)whole >= 0.5f);
    codes[l] = (int8_t)(scaled < 0 ? -rounded : rounded);
  }
  store_half(out, d, &fits);
  return fits;
}

#pragma clang fp contract(fast)

static bool encode_blocks(const float *x, karat_block_type type, size_t count, void *target) {
  uint8_t *out = target;
  bool fits = true;
  for (size_t i = 0; i < count; i++, x += BLOCK) switch (type) {
      case KARAT_Q4_0: fits &= encode_centred(x, 4, out + i * 18); break;
      case KARAT_Q5_0: fits &= encode_centred(x, 5, out + i * 22); break;
      case KARAT_Q4_1: fits &= encode_from_least(x, 4, out + i * 20); break;
      case KARAT_Q5_1: fits &= encode_from_least(x, 5, out + i * 24); break;
      case KARAT_Q8_0: fits &= encode_q8_0(x, out + i * 34); break;
      default: return false;
    }
  return fits;
}
