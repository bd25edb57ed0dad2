// GGUF's blocks whose codes are places in a codebook, and those of 4 bits on an uneven grid.
// As in blocks.h, nothing may fuse.

#pragma once

#include "blocks.h"
#include "codebook_iq1.h"
#include "codebook_iq2_iq3.h"

#pragma clang fp contract(off)

/// Eight signs of which seven are stored: the number of minus signs is even.
INLINE uint32_t even_signs(uint32_t seven) {
  return seven | (uint32_t)(__builtin_popcount(seven) & 1) << 7;
}

INLINE float with_sign(float x, uint32_t signs, int l) {
  return float_of(bits_of(x) ^ (signs >> l & 1) << 31);
}

INLINE void decode_eight_iq2(uint32_t entry, uint32_t signs, float scale, float *out) {
  for (int l = 0; l < 8; l++) {
    int level = entry >> 2 * l & 3;
    out[l] = with_sign(scale * (float)(8 + 17 * level + (level >> 1)), signs, l);
  }
}

INLINE void decode_iq2_xxs(const uint8_t *restrict block, float *restrict out) {
  float d = half_at(block);
  for (int run = 0; run < 8; run++) {
    const uint8_t *places = block + 2 + run * 8;
    uint32_t rest = word_at(places + 4);
    float scale = d * (0.5f + (float)(rest >> 28)) * 0.25f;
    for (int eight = 0; eight < 4; eight++)
      decode_eight_iq2(
          codebook_iq2_xxs[places[eight]], even_signs(rest >> 7 * eight & 127), scale,
          out + run * 32 + eight * 8);
  }
}

INLINE void decode_iq2_xs(const uint8_t *restrict block, float *restrict out) {
  float d = half_at(block);
  for (int eight = 0; eight < 32; eight++) {
    const uint8_t *pair = block + 2 + eight * 2;
    uint32_t code = pair[0] | (uint32_t)pair[1] << 8;
    int small_scale = block[66 + eight / 4] >> eight / 2 % 2 * 4 & 15;
    float scale = d * (0.5f + (float)small_scale) * 0.25f;
    decode_eight_iq2(codebook_iq2_xs[code & 511], even_signs(code >> 9), scale, out + eight * 8);
  }
}

INLINE void decode_iq2_s(const uint8_t *restrict block, float *restrict out) {
  float d = half_at(block);
  for (int eight = 0; eight < 32; eight++) {
    int high = block[66 + eight / 4] >> eight % 4 * 2 & 3;
    int small_scale = block[74 + eight / 4] >> eight / 2 % 2 * 4 & 15;
    float scale = d * (0.5f + (float)small_scale) * 0.25f;
    decode_eight_iq2(
        codebook_iq2_s[block[2 + eight] | high << 8], block[34 + eight], scale, out + eight * 8);
  }
}

INLINE void decode_iq3_xxs(const uint8_t *restrict block, float *restrict out) {
  float d = half_at(block);
  for (int run = 0; run < 8; run++) {
    uint32_t rest = word_at(block + 66 + run * 4);
    float scale = d * (0.5f + (float)(rest >> 28)) * 0.5f;
    for (int four = 0; four < 8; four++) {
      uint32_t entry = codebook_iq3_xxs[block[2 + run * 8 + four]];
      uint32_t signs = even_signs(rest >> 7 * (four / 2) & 127) >> four % 2 * 4;
      for (int l = 0; l < 4; l++) {
        int level = entry >> 4 * l & 15;
        out[run * 32 + four * 4 + l] =
            with_sign(scale * (float)(4 + 8 * level + 2 * (level == 7)), signs, l);
      }
    }
  }
}

INLINE void decode_iq3_s(const uint8_t *restrict block, float *restrict out) {
  float d = half_at(block);
  for (int run = 0; run < 8; run++) {
    int small_scale = block[106 + run / 2] >> run % 2 * 4 & 15;
    float scale = d * (float)(1 + 2 * small_scale);
    for (int four = 0; four < 8; four++) {
      int high = block[66 + run] >> four & 1;
      uint32_t entry = codebook_iq3_s[block[2 + run * 8 + four] | high << 8];
      uint32_t signs = block[74 + run * 4 + four / 2] >> four % 2 * 4;
      for (int l = 0; l < 4; l++) {
        int level = entry >> 4 * l & 15;
        out[run * 32 + four * 4 + l] = with_sign(scale * (float)(2 * level + 1), signs, l);
      }
    }
  }
}

INLINE void decode_eight_iq1(uint32_t entry, float shift, float scale, float *out) {
  for (int l = 0; l < 8; l++) out[l] = scale * ((float)((int)(entry >> 2 * l & 3) - 1) + shift);
}

INLINE void decode_iq1_s(const uint8_t *restrict block, float *restrict out) {
  float d = half_at(block);
  for (int run = 0; run < 8; run++) {
    uint32_t rest = block[34 + run * 2] | (uint32_t)block[35 + run * 2] << 8;
    float scale = d * (float)(2 * (int)(rest >> 12 & 7) + 1), shift = rest >> 15 ? -0.125f : 0.125f;
    for (int eight = 0; eight < 4; eight++) {
      uint32_t place = block[2 + run * 4 + eight] | (rest >> 3 * eight & 7) << 8;
      decode_eight_iq1(codebook_iq1[place], shift, scale, out + run * 32 + eight * 8);
    }
  }
}

INLINE void decode_iq1_m(const uint8_t *restrict block, float *restrict out) {
  // The float16 scale lies in the high nibbles of the four words of small scales.
  uint32_t words[4], half = 0;
  for (int i = 0; i < 4; i++) {
    words[i] = block[48 + i * 2] | (uint32_t)block[49 + i * 2] << 8;
    half |= words[i] >> 12 << 4 * i;
  }
  float d = float_of(bits_from_f16(half));
  for (int eight = 0; eight < 32; eight++) {
    int run = eight / 2;
    float scale = d * (float)(2 * (int)(words[run / 4] >> 3 * (run % 4) & 7) + 1);
    uint32_t rest = block[32 + eight / 2] >> eight % 2 * 4;
    uint32_t place = block[eight] | (rest & 7) << 8;
    decode_eight_iq1(codebook_iq1[place], rest & 8 ? -0.125f : 0.125f, scale, out + eight * 8);
  }
}

static const int8_t uneven_levels[16] = {
  -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113,
};

INLINE void decode_iq4(const uint8_t *restrict codes, float scale, float *restrict out) {
  for (int l = 0; l < 16; l++) {
    out[l] = scale * (float)uneven_levels[codes[l] & 15];
    out[l + 16] = scale * (float)uneven_levels[codes[l] >> 4];
  }
}

INLINE void decode_iq4_nl(const uint8_t *restrict block, float *restrict out) {
  decode_iq4(block + 2, half_at(block), out);
}

INLINE void decode_iq4_xs(const uint8_t *restrict block, float *restrict out) {
  float d = half_at(block);
  uint32_t high = block[2] | (uint32_t)block[3] << 8;
  for (int run = 0; run < 8; run++) {
    int small_scale = (block[4 + run / 2] >> run % 2 * 4 & 15) | (int)(high >> 2 * run & 3) << 4;
    decode_iq4(block + 8 + run * 16, d * (float)(small_scale - 32), out + run * 32);
  }
}

#pragma clang fp contract(fast)

#define EACH_BLOCK(decode, elements, bytes)                                                   \
  for (size_t i = 0; i < count; i++) decode(block + i * (bytes), out + i * (elements));       \
  break;

static void decode_blocks(const void *source, karat_block_type type, size_t count, float *out) {
  const uint8_t *block = source;
  switch (type) {
    case KARAT_Q4_0: EACH_BLOCK(decode_q4_0, 32, 18)
    case KARAT_Q4_1: EACH_BLOCK(decode_q4_1, 32, 20)
    case KARAT_Q5_0: EACH_BLOCK(decode_q5_0, 32, 22)
    case KARAT_Q5_1: EACH_BLOCK(decode_q5_1, 32, 24)
    case KARAT_Q8_0: EACH_BLOCK(decode_q8_0, 32, 34)
    case KARAT_Q2_K: EACH_BLOCK(decode_q2_k, 256, 84)
    case KARAT_Q3_K: EACH_BLOCK(decode_q3_k, 256, 110)
    case KARAT_Q4_K: EACH_BLOCK(decode_q4_k, 256, 144)
    case KARAT_Q5_K: EACH_BLOCK(decode_q5_k, 256, 176)
    case KARAT_Q6_K: EACH_BLOCK(decode_q6_k, 256, 210)
    case KARAT_IQ1_S: EACH_BLOCK(decode_iq1_s, 256, 50)
    case KARAT_IQ1_M: EACH_BLOCK(decode_iq1_m, 256, 56)
    case KARAT_IQ2_XXS: EACH_BLOCK(decode_iq2_xxs, 256, 66)
    case KARAT_IQ2_XS: EACH_BLOCK(decode_iq2_xs, 256, 74)
    case KARAT_IQ2_S: EACH_BLOCK(decode_iq2_s, 256, 82)
    case KARAT_IQ3_XXS: EACH_BLOCK(decode_iq3_xxs, 256, 98)
    case KARAT_IQ3_S: EACH_BLOCK(decode_iq3_s, 256, 110)
    case KARAT_IQ4_NL: EACH_BLOCK(decode_iq4_nl, 32, 18)
    case KARAT_IQ4_XS: EACH_BLOCK(decode_iq4_xs, 256, 136)
    case KARAT_TQ1_0: EACH_BLOCK(decode_tq1_0, 256, 54)
    case KARAT_TQ2_0: EACH_BLOCK(decode_tq2_0, 256, 66)
    case KARAT_MXFP4: EACH_BLOCK(decode_mxfp4, 32, 17)
    case KARAT_NVFP4: EACH_BLOCK(decode_nvfp4, 64, 36)
  }
}
