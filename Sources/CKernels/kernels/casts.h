// Casts between float32 and 16 or 8 bits, on bit patterns alone: no mode of the processor
// (flush to zero) changes them. Loops are plain: the compiler makes vectors of them.

#pragma once

#include "vector.h"

INLINE float float_of(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof x);
  return x;
}

INLINE uint32_t bits_of(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  return bits;
}

/// Any pattern of binary16; signalling NaN becomes quiet, as processors do it.
INLINE uint32_t bits_from_f16(uint32_t half) {
  uint32_t sign = (half & 0x8000) << 16, rest = half & 0x7fff;
  uint32_t normal = (rest << 13) + (112u << 23);
  uint32_t special = (rest << 13) | 0x7f800000 | (rest > 0x7c00 ? 0x400000 : 0);
  uint32_t subnormal = bits_of((float)(int32_t)rest * 0x1p-24f);
  return sign | (rest >= 0x7c00 ? special : rest < 0x400 ? subnormal : normal);
}

/// Magnitude bits of a float, rounded to a format of `mantissa` bits whose least normal number is
/// 2^least: to nearest, ties to even. Overflow runs on into the codes above the greatest number.
INLINE uint32_t rounded(uint32_t magnitude_bits, uint32_t mantissa, int32_t least) {
  uint32_t shift = 23 - mantissa;
  uint32_t half = (1u << (shift - 1)) - 1 + ((magnitude_bits >> shift) & 1);
  uint32_t normal = (magnitude_bits + half - ((uint32_t)(least + 126) << 23)) >> shift;
  // Adding a number whose unit in the last place is the format's least step rounds to that step.
  uint32_t anchor = (uint32_t)(least - (int32_t)mantissa + 23 + 127) << 23;
  uint32_t subnormal = bits_of(float_of(magnitude_bits) + float_of(anchor)) - anchor;
  return magnitude_bits < (uint32_t)(least + 127) << 23 ? subnormal : normal;
}

INLINE uint16_t f16_of(uint32_t bits) {
  uint32_t sign = (bits >> 16) & 0x8000, size = bits & 0x7fffffff;
  uint32_t code = rounded(size, 10, -14);
  code = code > 0x7c00 ? 0x7c00 : code;
  return (uint16_t)(sign | (size > 0x7f800000 ? 0x7e00 | ((size >> 13) & 0x1ff) : code));
}

INLINE uint16_t bf16_of(uint32_t bits) {
  uint32_t code = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  return (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? 0xffff : code);
}

/// E4M3 has no infinity: what is beyond 448 becomes 448, as PyTorch has it.
INLINE uint8_t e4m3_of(uint32_t bits) {
  uint32_t sign = (bits >> 24) & 0x80, size = bits & 0x7fffffff;
  uint32_t code = rounded(size, 3, -6);
  code = code > 0x7e ? 0x7e : code;
  return (uint8_t)(sign | (size > 0x7f800000 ? 0x7f : code));
}

INLINE uint8_t e5m2_of(uint32_t bits) {
  uint32_t sign = (bits >> 24) & 0x80, size = bits & 0x7fffffff;
  uint32_t code = rounded(size, 2, -14);
  code = code > 0x7c ? 0x7c : code;
  return (uint8_t)(sign | (size > 0x7f800000 ? 0x7f : code));
}

/// One byte with `mantissa` bits and exponent bias `bias`, no special codes looked at.
INLINE float number_of_byte(uint32_t code, uint32_t mantissa, int32_t bias) {
  uint32_t exponent = (code & 0x7f) >> mantissa, fraction = code & ((1u << mantissa) - 1);
  float significand = (float)fraction / (float)(1u << mantissa) + (exponent ? 1.0f : 0.0f);
  int32_t power = (exponent ? (int32_t)exponent : 1) - bias;
  float size = significand * float_of((uint32_t)(power + 127) << 23);
  return code & 0x80 ? -size : size;
}

static uint32_t bits_from_f8(uint32_t code, karat_float_format format) {
  uint32_t sign = (code & 0x80) << 24;
  switch (format) {
    case KARAT_F8_E4M3:
      return (code & 0x7f) == 0x7f ? sign | 0x7ff00000 : bits_of(number_of_byte(code, 3, 7));
    case KARAT_F8_E5M2: return bits_from_f16(code << 8);
    case KARAT_F8_E4M3FNUZ:
      return code == 0x80 ? 0x7fc00000 : bits_of(number_of_byte(code, 3, 8));
    default: return code == 0x80 ? 0x7fc00000 : bits_of(number_of_byte(code, 2, 16));
  }
}

static void to_float32(const void *source, karat_float_format format, size_t count, float *out) {
  const uint16_t *halves = source;
  const uint8_t *bytes = source;
  // Through integers, which keep the bits of a NaN.
  switch (format) {
    case KARAT_F16:
      for (size_t i = 0; i < count; i++) {
        uint16_t half;
        memcpy(&half, halves + i, sizeof half);
        uint32_t bits = bits_from_f16(half);
        memcpy(out + i, &bits, sizeof bits);
      }
      break;
    case KARAT_BF16:
      for (size_t i = 0; i < count; i++) {
        uint16_t half;
        memcpy(&half, halves + i, sizeof half);
        uint32_t bits = (uint32_t)half << 16;
        memcpy(out + i, &bits, sizeof bits);
      }
      break;
    default: {
      uint32_t table[256];
      for (uint32_t code = 0; code < 256; code++) table[code] = bits_from_f8(code, format);
      for (size_t i = 0; i < count; i++) memcpy(out + i, table + bytes[i], sizeof *table);
    }
  }
}

static void from_float32(const float *x, karat_float_format format, size_t count, void *out) {
  uint16_t *halves = out;
  uint8_t *bytes = out;
  switch (format) {
    case KARAT_F16:
      for (size_t i = 0; i < count; i++) {
        uint16_t half = f16_of(bits_of(x[i]));
        memcpy(halves + i, &half, sizeof half);
      }
      break;
    case KARAT_BF16:
      for (size_t i = 0; i < count; i++) {
        uint16_t half = bf16_of(bits_of(x[i]));
        memcpy(halves + i, &half, sizeof half);
      }
      break;
    case KARAT_F8_E4M3:
      for (size_t i = 0; i < count; i++) bytes[i] = e4m3_of(bits_of(x[i]));
      break;
    default:
      for (size_t i = 0; i < count; i++) bytes[i] = e5m2_of(bits_of(x[i]));
  }
}

/// Rounds to nearest, ties to even; or, with `to_odd`, so that rounding once more to a narrower
/// format gives what rounding the double at once would have given.
static void from_float64(const void *source, size_t count, bool to_odd, float *out) {
  const double *doubles = source;
  for (size_t i = 0; i < count; i++) {
    double x;
    memcpy(&x, doubles + i, sizeof x);
    float nearest = (float)x;
    uint32_t bits = bits_of(nearest);
    // An inexact result with an even last bit steps to its odd neighbour on the side of x.
    double back = (double)nearest;
    uint32_t is_beyond = (back > x) == (x > 0), is_inexact = back < x || back > x;
    bits += to_odd && is_inexact && !(bits & 1) ? 1u - 2u * is_beyond : 0;
    memcpy(out + i, &bits, sizeof bits);
  }
}

/// Multiplies numbers of a row that start in column `first` by the scales of their blocks of columns.
static void scale_blocks(
    float *x, size_t first, size_t count, const float *scales, size_t block) {
  for (size_t i = 0; i < count;) {
    size_t column = first + i, end = (column / block + 1) * block - first;
    float scale = scales[column / block];
    if (end > count) end = count;
    for (; i < end; i++) x[i] *= scale;
  }
}
