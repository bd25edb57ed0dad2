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

/// Half bytes: the first of two elements goes to the low half of a byte.
INLINE void split_8(
    const uint8_t *bytes, size_t count, bool rotated, uint8_t *restrict planes) {
  size_t pairs = count / 2;
  for (size_t i = 0; i < pairs; i++) {
    uint8_t first = bytes[2 * i], second = bytes[2 * i + 1];
    if (rotated) first = (uint8_t)ROTATED(first, 8), second = (uint8_t)ROTATED(second, 8);
    planes[i] = (uint8_t)((first & 15) | second << 4);
    planes[pairs + i] = (uint8_t)(first >> 4 | (second & 0xf0));
  }
}

INLINE void merge_8(
    const uint8_t *const *planes, size_t count, bool rotated, uint8_t *restrict bytes) {
  const uint8_t *low = planes[0], *high = planes[1];
  for (size_t i = 0; i < count / 2; i++) {
    uint8_t first = (uint8_t)((low[i] & 15) | high[i] << 4);
    uint8_t second = (uint8_t)(low[i] >> 4 | (high[i] & 0xf0));
    if (rotated) first = (uint8_t)ROTATED_BACK(first, 8), second = (uint8_t)ROTATED_BACK(second, 8);
    bytes[2 * i] = first;
    bytes[2 * i + 1] = second;
  }
}

// The choice of rotation stands outside of the loops.
#define BOTH_WAYS(function, from, to)                 \
  if (rotated) function(from, count, true, to);       \
  else function(from, count, false, to);              \
  break;

static void split_planes(
    const void *elements, size_t count, size_t width, bool rotated, uint8_t *planes) {
  switch (width) {
    case 1: BOTH_WAYS(split_8, elements, planes)
    case 2: BOTH_WAYS(split_16, elements, planes)
    case 4: BOTH_WAYS(split_32, elements, planes)
    default: BOTH_WAYS(split_64, elements, planes)
  }
}

static void merge_planes(
    const uint8_t *const *planes, size_t count, size_t width, bool rotated, void *elements) {
  switch (width) {
    case 1: BOTH_WAYS(merge_8, planes, elements)
    case 2: BOTH_WAYS(merge_16, planes, elements)
    case 4: BOTH_WAYS(merge_32, planes, elements)
    default: BOTH_WAYS(merge_64, planes, elements)
  }
}

static void exclusive_or(const void *a, const void *b, size_t count, void *out) {
  const uint8_t *left = a, *right = b;
  uint8_t *result = out;
  for (size_t i = 0; i < count; i++) result[i] = left[i] ^ right[i];
}
