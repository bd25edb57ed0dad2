// GGUF's quantized blocks to float32. Every product and sum is rounded to float32 in the order of
// the reference decoder, so the floats have its bits: nothing may fuse here.
//
// In what follows a block's parts are given by their offsets in bytes; d is a float16 scale.

#pragma once

#include "casts.h"

#pragma clang fp contract(off)

INLINE float half_at(const uint8_t *p) {
  uint16_t half;
  memcpy(&half, p, sizeof half);
  return float_of(bits_from_f16(half));
}

INLINE uint32_t word_at(const uint8_t *p) {
  uint32_t word;
  memcpy(&word, p, sizeof word);
  return word;
}

// 32 elements: byte l holds the low four bits of element l and, above them, those of element
// l + 16; the fifth bits follow each other in a word.

INLINE void decode_q4_0(const uint8_t *restrict block, float *restrict out) {
  float d = half_at(block);
  const uint8_t *codes = block + 2;
  for (int l = 0; l < 16; l++) {
    out[l] = d * (float)((codes[l] & 15) - 8);
    out[l + 16] = d * (float)((codes[l] >> 4) - 8);
  }
}

INLINE void decode_q4_1(const uint8_t *restrict block, float *restrict out) {
  float d = half_at(block), least = half_at(block + 2);
  const uint8_t *codes = block + 4;
  for (int l = 0; l < 16; l++) {
    out[l] = d * (float)(codes[l] & 15) + least;
    out[l + 16] = d * (float)(codes[l] >> 4) + least;
  }
}

INLINE int fifth_bit(uint32_t high, int l) { return (int)(high >> l & 1) << 4; }

INLINE void decode_q5_0(const uint8_t *restrict block, float *restrict out) {
  float d = half_at(block);
  uint32_t high = word_at(block + 2);
  const uint8_t *codes = block + 6;
  for (int l = 0; l < 16; l++) {
    out[l] = d * (float)(((codes[l] & 15) | fifth_bit(high, l)) - 16);
    out[l + 16] = d * (float)((codes[l] >> 4 | fifth_bit(high, l + 16)) - 16);
  }
}

INLINE void decode_q5_1(const uint8_t *restrict block, float *restrict out) {
  float d = half_at(block), least = half_at(block + 2);
  uint32_t high = word_at(block + 4);
  const uint8_t *codes = block + 8;
  for (int l = 0; l < 16; l++) {
    out[l] = d * (float)((codes[l] & 15) | fifth_bit(high, l)) + least;
    out[l + 16] = d * (float)(codes[l] >> 4 | fifth_bit(high, l + 16)) + least;
  }
}

INLINE void decode_q8_0(const uint8_t *restrict block, float *restrict out) {
  float d = half_at(block);
  const int8_t *codes = (const int8_t *)block + 2;
  for (int l = 0; l < 32; l++) out[l] = d * (float)codes[l];
}

// K types: 256 elements. Eight runs of 32, or sixteen of 16, have small scales of their own, which
// d multiplies; bits of a code lie in one byte with those of the elements 32, 64, … further on.

INLINE void decode_q2_k(const uint8_t *restrict block, float *restrict out) {
  float d = half_at(block + 80), d_least = half_at(block + 82);
  for (int run = 0; run < 16; run++) {
    float scale = d * (float)(block[run] & 15), least = d_least * (float)(block[run] >> 4);
    const uint8_t *codes = block + 16 + run / 8 * 32 + run % 2 * 16;
    int shift = run % 8 / 2 * 2;
    for (int l = 0; l < 16; l++)
      out[run * 16 + l] = scale * (float)(codes[l] >> shift & 3) - least;
  }
}

INLINE void decode_q3_k(const uint8_t *restrict block, float *restrict out) {
  const uint8_t *scales = block + 96;
  float d = half_at(block + 108);
  for (int run = 0; run < 16; run++) {
    int low = scales[run % 8] >> run / 8 * 4 & 15, high = scales[8 + run % 4] >> run / 4 * 2 & 3;
    float scale = d * (float)((low | high << 4) - 32);
    const uint8_t *codes = block + 32 + run / 8 * 32 + run % 2 * 16;
    const uint8_t *thirds = block + run % 2 * 16;
    int shift = run % 8 / 2 * 2, bit = run / 2;
    for (int l = 0; l < 16; l++)
      out[run * 16 + l] =
          scale * (float)((codes[l] >> shift & 3) - (~thirds[l] >> bit & 1) * 4);
  }
}

/// The 6-bit scale and least value of a run: those of the first four in the low bits of bytes 0…3
/// and 4…7; of the others, the low four bits in bytes 8…11 and the high two above the first ones.
INLINE void scale_and_least(const uint8_t *packed, int run, int *scale, int *least) {
  *scale = run < 4 ? packed[run] & 63 : (packed[run + 4] & 15) | packed[run - 4] >> 6 << 4;
  *least = run < 4 ? packed[run + 4] & 63 : packed[run + 4] >> 4 | packed[run] >> 6 << 4;
}

INLINE void decode_q4_k(const uint8_t *restrict block, float *restrict out) {
  float d = half_at(block), d_least = half_at(block + 2);
  for (int run = 0; run < 8; run++) {
    int small_scale, small_least;
    scale_and_least(block + 4, run, &small_scale, &small_least);
    float scale = d * (float)small_scale, least = d_least * (float)small_least;
    const uint8_t *codes = block + 16 + run / 2 * 32;
    int shift = run % 2 * 4;
    for (int l = 0; l < 32; l++)
      out[run * 32 + l] = scale * (float)(codes[l] >> shift & 15) - least;
  }
}

INLINE void decode_q5_k(const uint8_t *restrict block, float *restrict out) {
  float d = half_at(block), d_least = half_at(block + 2);
  const uint8_t *fifths = block + 16;
  for (int run = 0; run < 8; run++) {
    int small_scale, small_least;
    scale_and_least(block + 4, run, &small_scale, &small_least);
    float scale = d * (float)small_scale, least = d_least * (float)small_least;
    const uint8_t *codes = block + 48 + run / 2 * 32;
    int shift = run % 2 * 4;
    for (int l = 0; l < 32; l++) {
      int code = (codes[l] >> shift & 15) | (fifths[l] >> run & 1) << 4;
      out[run * 32 + l] = scale * (float)code - least;
    }
  }
}

INLINE void decode_q6_k(const uint8_t *restrict block, float *restrict out) {
  const int8_t *scales = (const int8_t *)block + 192;
  float d = half_at(block + 208);
  for (int run = 0; run < 16; run++) {
    float scale = d * (float)scales[run];
    const uint8_t *low = block + run / 8 * 64 + run / 2 % 2 * 32 + run % 2 * 16;
    const uint8_t *high = block + 128 + run / 8 * 32 + run % 2 * 16;
    int low_shift = run / 4 % 2 * 4, high_shift = run / 2 % 4 * 2;
    for (int l = 0; l < 16; l++) {
      int code = (low[l] >> low_shift & 15) | (high[l] >> high_shift & 3) << 4;
      out[run * 16 + l] = scale * (float)(code - 32);
    }
  }
}

// Ternary types: 256 elements of -1, 0 and 1.

/// One digit of numbers to the base of 3, which are stored as fractions of 256.
INLINE void decode_digit(const uint8_t *bytes, int count, int power, float d, float *out) {
  for (int l = 0; l < count; l++)
    out[l] = d * (float)(((uint8_t)(bytes[l] * power) * 3 >> 8) - 1);
}

INLINE void decode_tq1_0(const uint8_t *restrict block, float *restrict out) {
  float d = half_at(block + 52);
  int power = 1;
  for (int digit = 0; digit < 5; digit++) {
    decode_digit(block, 32, power, d, out + digit * 32);
    decode_digit(block + 32, 16, power, d, out + 160 + digit * 16);
    if (digit < 4) decode_digit(block + 48, 4, power, d, out + 240 + digit * 4);
    power *= 3;
  }
}

INLINE void decode_tq2_0(const uint8_t *restrict block, float *restrict out) {
  float d = half_at(block + 64);
  for (int run = 0; run < 8; run++) {
    const uint8_t *codes = block + run / 4 * 32;
    int shift = run % 4 * 2;
    for (int l = 0; l < 32; l++) out[run * 32 + l] = d * (float)((codes[l] >> shift & 3) - 1);
  }
}

// Floats of four bits: sign, two bits of exponent, one of fraction; doubled, so that they are whole.

INLINE float doubled_f4(int code) {
  int exponent = code >> 1 & 3, fraction = code & 1;
  int size = exponent ? (2 + fraction) << (exponent - 1) : fraction;
  return (float)(code & 8 ? -size : size);
}

INLINE void decode_mxfp4(const uint8_t *restrict block, float *restrict out) {
  // Half of 2^(x - 127), which undoes the doubling; subnormal for the two lowest.
  uint32_t x = block[0];
  float scale = float_of(x < 2 ? 0x00200000u << x : (x - 1) << 23);
  const uint8_t *codes = block + 1;
  for (int l = 0; l < 16; l++) {
    out[l] = scale * doubled_f4(codes[l] & 15);
    out[l + 16] = scale * doubled_f4(codes[l] >> 4);
  }
}

INLINE void decode_nvfp4(const uint8_t *restrict block, float *restrict out) {
  for (int run = 0; run < 4; run++) {
    uint32_t x = block[run];
    float scale = x == 0x7f ? 0 : number_of_byte(x & 0x7f, 3, 7) * 0.5f;
    const uint8_t *codes = block + 4 + run * 8;
    for (int l = 0; l < 8; l++) {
      out[run * 16 + l] = scale * doubled_f4(codes[l] & 15);
      out[run * 16 + l + 8] = scale * doubled_f4(codes[l] >> 4);
    }
  }
}

#pragma clang fp contract(fast)
