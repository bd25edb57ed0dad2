// The integer product by vpmaddwd: codes are widened to 16 bits first, since vpmaddubsw saturates.

#pragma once

#include <immintrin.h>

#include "integers.h"

/// `rows` (at most 2) rows by 16 of the 32 outputs of a panel.
INLINE void multiply_rows(
    const uint8_t *x, size_t inputs, size_t rows, const int8_t *weights, int32_t *sums) {
  // Each vector holds 4 outputs, two partial sums of each.
  __m256i partial[2][4];
  for (size_t r = 0; r < rows; r++)
    for (size_t v = 0; v < 4; v++) partial[r][v] = _mm256_setzero_si256();
  for (size_t input = 0; input < inputs; input += KARAT_PANEL_INPUTS) {
    __m256i wide[4];
    for (size_t v = 0; v < 4; v++)
      wide[v] = _mm256_cvtepi8_epi16(
          _mm_loadu_si128((const __m128i *)(weights + input * KARAT_PANEL_OUTPUTS + v * 16)));
    for (size_t r = 0; r < rows; r++) {
      int four = (int)four_codes(x + r * inputs, inputs, input);
      __m256i codes = _mm256_broadcastq_epi64(_mm_cvtepu8_epi16(_mm_cvtsi32_si128(four)));
      for (size_t v = 0; v < 4; v++)
        partial[r][v] = _mm256_add_epi32(partial[r][v], _mm256_madd_epi16(wide[v], codes));
    }
  }
  for (size_t r = 0; r < rows; r++)
    for (size_t v = 0; v < 4; v += 2) {
      // hadd interleaves its halves: outputs 0 1 4 5 | 2 3 6 7.
      __m256i pairs = _mm256_hadd_epi32(partial[r][v], partial[r][v + 1]);
      __m256i ordered = _mm256_permute4x64_epi64(pairs, 0xd8);
      _mm256_storeu_si256((__m256i *)(sums + r * KARAT_PANEL_OUTPUTS + v * 4), ordered);
    }
}

static void multiply(
    const karat_integer_product *product, size_t row, size_t rows, size_t panel, size_t panels,
    float *floats_out, int32_t *integers_out) {
  size_t inputs = product->inputs;
  for (size_t p = panel; p < panel + panels; p++) {
    const int8_t *weights = product->panels + p * panel_bytes(inputs);
    panel_finish finish = finish_of(product, p);
    for (size_t r = row; r < row + rows; r += 2) {
      size_t height = row + rows - r < 2 ? 1 : 2;
      int32_t sums[2 * KARAT_PANEL_OUTPUTS];
      for (size_t half = 0; half < 2; half++) {
        const int8_t *half_weights = weights + half * 64;
        int32_t *half_sums = sums + half * 16;
        if (height == 2)
          multiply_rows(product->x + r * inputs, inputs, 2, half_weights, half_sums);
        else
          multiply_rows(product->x + r * inputs, inputs, 1, half_weights, half_sums);
      }
      for (size_t i = 0; i < height; i++)
        finish_row(&finish, sums + i * KARAT_PANEL_OUTPUTS, r + i, floats_out, integers_out);
    }
  }
}
