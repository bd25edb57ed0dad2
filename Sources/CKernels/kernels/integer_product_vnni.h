// The integer product by vpdpbusd: 12 rows by 32 outputs stay in 24 registers.

#pragma once

#include <immintrin.h>

#include "integers.h"

#define INTEGER_ROW_TILE 12

/// One group of inputs, the `bytes` (at most 4) of each row that begin at `input`: `rows` rows by
/// 32 outputs.
INLINE void multiply_group(
    __m512i sums[][2], const uint8_t *const bases[], size_t stride, size_t rows, size_t input,
    size_t bytes, const int8_t *weights) {
  __m512i low = _mm512_loadu_si512(weights), high = _mm512_loadu_si512(weights + 64);
#pragma clang loop unroll(full)
  for (size_t r = 0; r < rows; r++) {
    int32_t codes = 0;
    memcpy(&codes, bases[r / ROWS_PER_BASE] + r % ROWS_PER_BASE * stride + input, bytes);
    __m512i four = _mm512_set1_epi32(codes);
    sums[r][0] = _mm512_dpbusd_epi32(sums[r][0], four, low);
    sums[r][1] = _mm512_dpbusd_epi32(sums[r][1], four, high);
  }
  end_of_step();
}

INLINE void multiply_rows(
    const uint8_t *x, size_t inputs, size_t rows, const int8_t *weights, int32_t *out) {
  const size_t group = KARAT_PANEL_INPUTS, group_bytes = group * KARAT_PANEL_OUTPUTS, unrolled = 4;
  const size_t base_count = (rows + ROWS_PER_BASE - 1) / ROWS_PER_BASE;
  const uint8_t *bases[INTEGER_ROW_TILE / ROWS_PER_BASE];
  __m512i sums[INTEGER_ROW_TILE][2];
#pragma clang loop unroll(full)
  for (size_t i = 0; i < base_count; i++) bases[i] = opaque(x + i * ROWS_PER_BASE * inputs);
#pragma clang loop unroll(full)
  for (size_t r = 0; r < rows; r++) sums[r][0] = sums[r][1] = _mm512_setzero_si512();
  size_t input = 0;
  for (; input + unrolled * group <= inputs; input += unrolled * group) {
#pragma clang loop unroll(full)
    for (size_t i = 0; i < unrolled; i++, weights += group_bytes)
      multiply_group(sums, bases, inputs, rows, i * group, group, weights);
#pragma clang loop unroll(full)
    for (size_t i = 0; i < base_count; i++) bases[i] += unrolled * group;
  }
  for (; input < inputs; input += group, weights += group_bytes) {
    // The last codes of the last row are the last readable bytes.
    size_t rest = inputs - input;
    if (rest >= group)
      multiply_group(sums, bases, inputs, rows, 0, group, weights);
    else
      multiply_group(sums, bases, inputs, rows, 0, rest, weights);
#pragma clang loop unroll(full)
    for (size_t i = 0; i < base_count; i++) bases[i] += group;
  }
#pragma clang loop unroll(full)
  for (size_t r = 0; r < rows; r++) {
    _mm512_storeu_si512(out + r * KARAT_PANEL_OUTPUTS, sums[r][0]);
    _mm512_storeu_si512(out + r * KARAT_PANEL_OUTPUTS + 16, sums[r][1]);
  }
}

/// One row: groups go to four sums in turn, so that none waits for the one before.
INLINE void multiply_row(
    const uint8_t *x, size_t inputs, const int8_t *weights, int32_t *out) {
  const size_t group = KARAT_PANEL_INPUTS, group_bytes = group * KARAT_PANEL_OUTPUTS, turns = 4;
  __m512i sums[4][2];
  for (size_t i = 0; i < turns; i++) sums[i][0] = sums[i][1] = _mm512_setzero_si512();
  size_t input = 0;
  for (; input + turns * group <= inputs; input += turns * group)
#pragma clang loop unroll(full)
    for (size_t i = 0; i < turns; i++, x += group, weights += group_bytes)
      multiply_group(sums + i, &x, inputs, 1, 0, group, weights);
  for (; input < inputs; input += group, x += group, weights += group_bytes) {
    size_t rest = inputs - input;
    multiply_group(sums, &x, inputs, 1, 0, rest < group ? rest : group, weights);
  }
  for (size_t half = 0; half < 2; half++) {
    __m512i even = _mm512_add_epi32(sums[0][half], sums[2][half]);
    __m512i odd = _mm512_add_epi32(sums[1][half], sums[3][half]);
    _mm512_storeu_si512(out + half * 16, _mm512_add_epi32(even, odd));
  }
}

static void multiply(
    const karat_integer_product *product, size_t row, size_t rows, size_t panel, size_t panels,
    float *floats_out, int32_t *integers_out) {
  size_t inputs = product->inputs;
  int32_t sums[INTEGER_ROW_TILE * KARAT_PANEL_OUTPUTS];
  panel_finish finishes[KARAT_PANELS_AT_A_TIME];
  for (size_t i = 0; i < panels; i++) finishes[i] = finish_of(product, panel + i);
  for (size_t r = row; r < row + rows;) {
    const uint8_t *x = product->x + r * inputs;
    size_t rest = row + rows - r, height = rest >= 12 ? 12 : rest >= 4 ? 4 : 1;
    for (size_t p = 0; p < panels; p++) {
      const int8_t *weights = product->panels + (panel + p) * panel_bytes(inputs);
      switch (height) {
        case 12: multiply_rows(x, inputs, 12, weights, sums); break;
        case 4: multiply_rows(x, inputs, 4, weights, sums); break;
        default: multiply_row(x, inputs, weights, sums); break;
      }
      for (size_t i = 0; i < height; i++)
        finish_row(finishes + p, sums + i * KARAT_PANEL_OUTPUTS, r + i, floats_out, integers_out);
    }
    r += height;
  }
}
