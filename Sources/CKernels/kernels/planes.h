// Elements cut into planes of their bytes, and put together again. Loops are plain: the compiler
// makes vectors of them.

#pragma once

#include "vector.h"

/// Left by one bit: the sign goes below the mantissa, and the exponent comes to the top.
#define ROTATED(x, bits) ((x) << 1 | (x) >> ((bits) - 1))
#define ROTATED_BACK(x, bits) ((x) >> 1 | (x) << ((bits) - 1))

#define PLANES_OF(type, bits)                                                                  \
  INLINE void split_##bits(                                                                    \
      const uint8_t *elements, size_t count, bool rotated, uint8_t *restrict planes) {         \
    for (size_t i = 0; i < count; i++) {                                                       \
      type x;                                                                                  \
      memcpy(&x, elements + i * sizeof x, sizeof x);                                           \
      if (rotated) x = (type)ROTATED(x, bits);                                                 \
      for (size_t byte = 0; byte < sizeof x; byte++)                                           \
        planes[byte * count + i] = (uint8_t)(x >> 8 * byte);                                   \
    }                                                                                          \
  }                                                                                            \
  INLINE void merge_##bits(                                                                    \
      const uint8_t *const *planes, size_t count, bool rotated, uint8_t *restrict elements) {  \
    const uint8_t *plane[sizeof(type)];                                                        \
    memcpy(plane, planes, sizeof plane);                                                       \
    for (size_t i = 0; i < count; i++) {                                                       \
      type x = 0;                                                                              \
      for (size_t byte = 0; byte < sizeof x; byte++)                                           \
        x = (type)(x | (type)plane[byte][i] << 8 * byte);                                      \
      if (rotated) x = (type)ROTATED_BACK(x, bits);                                            \
      memcpy(elements + i * sizeof x, &x, sizeof x);                                           \
    }                                                                                          \
  }

PLANES_OF(uint16_t, 16)
PLANES_OF(uint32_t, 32)
PLANES_OF(uint64_t, 64)

INLINE uint8_t rotated_byte(uint8_t x) { return (uint8_t)(x << 1 | x >> 7); }
INLINE uint8_t rotated_byte_back(uint8_t x) { return (uint8_t)(x >> 1 | x << 7); }

/// The first of two bytes goes to the low half.
static void split_halves(const uint8_t *bytes, size_t count, uint8_t *restrict planes) {
  size_t pairs = count / 2;
  for (size_t i = 0; i < pairs; i++) {
    uint8_t first = rotated_byte(bytes[2 * i]), second = rotated_byte(bytes[2 * i + 1]);
    planes[i] = (uint8_t)((first & 15) | second << 4);
    planes[pairs + i] = (uint8_t)(first >> 4 | (second & 0xf0));
  }
}

static void merge_halves(
    const uint8_t *const *planes, size_t count, uint8_t *restrict bytes) {
  const uint8_t *low = planes[0], *high = planes[1];
  for (size_t i = 0; i < count / 2; i++) {
    bytes[2 * i] = rotated_byte_back((uint8_t)((low[i] & 15) | high[i] << 4));
    bytes[2 * i + 1] = rotated_byte_back((uint8_t)(low[i] >> 4 | (high[i] & 0xf0)));
  }
}

static void split_planes(
    const void *elements, size_t count, size_t width, bool rotated, uint8_t *planes) {
  switch (width) {
    case 1: split_halves(elements, count, planes); break;
    case 2: rotated ? split_16(elements, count, true, planes)
                    : split_16(elements, count, false, planes); break;
    case 4: rotated ? split_32(elements, count, true, planes)
                    : split_32(elements, count, false, planes); break;
    default: rotated ? split_64(elements, count, true, planes)
                     : split_64(elements, count, false, planes);
  }
}

static void merge_planes(
    const uint8_t *const *planes, size_t count, size_t width, bool rotated, void *elements) {
  switch (width) {
    case 1: merge_halves(planes, count, elements); break;
    case 2: rotated ? merge_16(planes, count, true, elements)
                    : merge_16(planes, count, false, elements); break;
    case 4: rotated ? merge_32(planes, count, true, elements)
                    : merge_32(planes, count, false, elements); break;
    default: rotated ? merge_64(planes, count, true, elements)
                     : merge_64(planes, count, false, elements);
  }
}

static void exclusive_or(const void *a, const void *b, size_t count, void *out) {
  const uint8_t *left = a, *right = b;
  uint8_t *result = out;
  for (size_t i = 0; i < count; i++) result[i] = left[i] ^ right[i];
}
