// The integer product by vpmaddwd, on numbers of 16 bits, since vpmaddubsw saturates.
//
// Zen 3 multiplies or adds three such vectors a cycle: 24 products, against 16 of floats. Nothing
// else may take those units, so codes of rows are widened beforehand, and the loop broadcasts four
// of them by a load alone; to widen weights where they are used was measured to cost nothing.

#pragma once

#include <immintrin.h>

#include "integers.h"

/// 6 rows by 8 outputs stay in 12 registers; two hold weights, one codes, one their products.
#define INTEGER_ROW_TILE 6

/// Inputs and panels that a tile of rows meets at a time: its codes and the weights of a panel stay
/// in the first cache, and widening the codes takes a few percent of the time.
#define INTEGER_INPUT_BLOCK 768
#define INTEGER_PANEL_BLOCK 8

/// Elements from one row of widened codes to the next: rows that lie a power of two apart would
/// compete for the same lines of the cache.
#define INTEGER_CODE_STRIDE (INTEGER_INPUT_BLOCK + 32)

/// to [rows, stride] = the codes of `count` inputs, zeros up to a multiple of 4.
INLINE void widen(const uint8_t *x, size_t inputs, size_t count, size_t rows, int16_t *to) {
  for (size_t r = 0; r < rows; r++, x += inputs, to += INTEGER_CODE_STRIDE) {
    size_t whole = count / KARAT_PANEL_INPUTS * KARAT_PANEL_INPUTS;
    memset(to + whole, 0, KARAT_PANEL_INPUTS * sizeof *to);
    for (size_t i = 0; i < count; i++) to[i] = x[i];
  }
}

/// sums [rows, 32] += codes [rows, stride] . weights [groups, 32, 4], of 4 outputs for each of
/// `vectors`.
INLINE void multiply_tile(
    const int16_t *codes, size_t groups, size_t rows, const int8_t *weights, size_t vectors,
    int32_t *sums) {
  // Each vector holds 4 outputs, two partial sums of each.
  __m256i partial[INTEGER_ROW_TILE][8];
#pragma clang loop unroll(full)
  for (size_t r = 0; r < rows; r++)
#pragma clang loop unroll(full)
    for (size_t v = 0; v < vectors; v++) partial[r][v] = _mm256_setzero_si256();
#pragma clang loop unroll_count(2)
  for (size_t group = 0; group < groups; group++) {
    __m256i wide[8];
#pragma clang loop unroll(full)
    for (size_t v = 0; v < vectors; v++)
      wide[v] = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)weights + v));
#pragma clang loop unroll(full)
    for (size_t r = 0; r < rows; r++) {
      int64_t bits;
      memcpy(&bits, codes + r * INTEGER_CODE_STRIDE, sizeof bits);
      __m256i four = _mm256_set1_epi64x(bits);
#pragma clang loop unroll(full)
      for (size_t v = 0; v < vectors; v++)
        partial[r][v] = _mm256_add_epi32(partial[r][v], _mm256_madd_epi16(wide[v], four));
    }
    codes += KARAT_PANEL_INPUTS;
    weights += KARAT_PANEL_INPUTS * KARAT_PANEL_OUTPUTS;
    end_of_step();
  }
#pragma clang loop unroll(full)
  for (size_t r = 0; r < rows; r++)
#pragma clang loop unroll(full)
    for (size_t v = 0; v < vectors; v += 2) {
      // hadd interleaves its halves: outputs 0 1 4 5 | 2 3 6 7.
      __m256i pairs = _mm256_hadd_epi32(partial[r][v], partial[r][v + 1]);
      __m256i *to = (__m256i *)(sums + r * KARAT_PANEL_OUTPUTS + v * 4);
      __m256i ordered = _mm256_permute4x64_epi64(pairs, 0xd8);
      _mm256_storeu_si256(to, _mm256_add_epi32(_mm256_loadu_si256(to), ordered));
    }
}

/// All outputs of a panel.
INLINE void multiply_panel(
    const int16_t *codes, size_t groups, size_t rows, const int8_t *weights, size_t vectors,
    int32_t *sums) {
  for (size_t output = 0; output < KARAT_PANEL_OUTPUTS; output += vectors * 4)
    multiply_tile(
        codes, groups, rows, weights + output * KARAT_PANEL_INPUTS, vectors, sums + output);
}

/// sums [panels, rows, 32], for 6, 4, 2 or 1 rows.
static void multiply_rows(
    const karat_integer_product *product, size_t row, size_t rows, size_t panel, size_t panels,
    int32_t *sums) {
  int16_t codes[INTEGER_ROW_TILE * INTEGER_CODE_STRIDE];
  size_t inputs = product->inputs;
  memset(sums, 0, panels * rows * KARAT_PANEL_OUTPUTS * sizeof *sums);
  for (size_t input = 0; input < inputs; input += INTEGER_INPUT_BLOCK) {
    size_t rest = inputs - input, count = rest < INTEGER_INPUT_BLOCK ? rest : INTEGER_INPUT_BLOCK;
    size_t groups = (count + KARAT_PANEL_INPUTS - 1) / KARAT_PANEL_INPUTS;
    widen(product->x + row * inputs + input, inputs, count, rows, codes);
    for (size_t p = 0; p < panels; p++) {
      const int8_t *weights =
          product->panels + (panel + p) * panel_bytes(inputs) + input * KARAT_PANEL_OUTPUTS;
      int32_t *to = sums + p * rows * KARAT_PANEL_OUTPUTS;
      switch (rows) {
        case 6: multiply_panel(codes, groups, 6, weights, 2, to); break;
        case 4: multiply_panel(codes, groups, 4, weights, 2, to); break;
        case 2: multiply_panel(codes, groups, 2, weights, 4, to); break;
        default: multiply_panel(codes, groups, 1, weights, 8, to); break;
      }
    }
  }
}

static void multiply(
    const karat_integer_product *product, size_t row, size_t rows, size_t panel, size_t panels,
    float *floats_out, int32_t *integers_out) {
  int32_t sums[INTEGER_PANEL_BLOCK * INTEGER_ROW_TILE * KARAT_PANEL_OUTPUTS];
  panel_finish finishes[INTEGER_PANEL_BLOCK];
  for (size_t p = panel; p < panel + panels; p += INTEGER_PANEL_BLOCK) {
    size_t rest = panel + panels - p;
    size_t width = rest < INTEGER_PANEL_BLOCK ? rest : INTEGER_PANEL_BLOCK;
    for (size_t i = 0; i < width; i++) finishes[i] = finish_of(product, p + i);
    for (size_t r = row, height; r < row + rows; r += height) {
      size_t left = row + rows - r;
      height = left >= 6 ? 6 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
      multiply_rows(product, r, height, p, width, sums);
      for (size_t i = 0; i < width * height; i++)
        finish_row(
            finishes + i / height, sums + i * KARAT_PANEL_OUTPUTS, r + i % height, floats_out,
            integers_out);
    }
  }
}
