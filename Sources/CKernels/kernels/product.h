// Products of matrices that lie in cache: the part of them that fits in registers at a time.

#pragma once

#include "vector.h"

/// sums [rows][vectors] += a[., k] . b[0, .]
INLINE void product_step(
    floats sums[][VECTOR_TILE], const float *const bases[], size_t a_stride, size_t k,
    const float *b, size_t rows, size_t vectors) {
  floats row[VECTOR_TILE];
#pragma clang loop unroll(full)
  for (size_t v = 0; v < vectors; v++) row[v] = load(b + v * LANES);
#pragma clang loop unroll(full)
  for (size_t r = 0; r < rows; r++) {
    floats factor =
        in_register(splat(bases[r / ROWS_PER_BASE][r % ROWS_PER_BASE * a_stride + k]));
#pragma clang loop unroll(full)
    for (size_t v = 0; v < vectors; v++) fused_add(&sums[r][v], factor, row[v]);
  }
  end_of_step();
}

/// c [rows, vectors * LANES] = or += a [rows, inner] . b [inner, vectors * LANES], in registers.
INLINE void product_tile(
    const float *a, size_t a_stride, size_t inner, const float *b, size_t b_stride, float *c,
    size_t c_stride, size_t rows, size_t vectors, bool accumulate) {
  const size_t unrolled = 4, base_count = (rows + ROWS_PER_BASE - 1) / ROWS_PER_BASE;
  const float *bases[(ROW_TILE + ROWS_PER_BASE - 1) / ROWS_PER_BASE];
  floats sums[ROW_TILE][VECTOR_TILE];
#pragma clang loop unroll(full)
  for (size_t i = 0; i < base_count; i++) bases[i] = opaque(a + i * ROWS_PER_BASE * a_stride);
#pragma clang loop unroll(full)
  for (size_t r = 0; r < rows; r++)
#pragma clang loop unroll(full)
    for (size_t v = 0; v < vectors; v++)
      sums[r][v] = accumulate ? load(c + r * c_stride + v * LANES) : splat(0);
  size_t k = 0;
  for (; k + unrolled <= inner; k += unrolled) {
#pragma clang loop unroll(full)
    for (size_t i = 0; i < unrolled; i++, b += b_stride)
      product_step(sums, bases, a_stride, i, b, rows, vectors);
#pragma clang loop unroll(full)
    for (size_t i = 0; i < base_count; i++) bases[i] += unrolled;
  }
  for (; k < inner; k++, b += b_stride) {
    product_step(sums, bases, a_stride, 0, b, rows, vectors);
#pragma clang loop unroll(full)
    for (size_t i = 0; i < base_count; i++) bases[i]++;
  }
#pragma clang loop unroll(full)
  for (size_t r = 0; r < rows; r++)
#pragma clang loop unroll(full)
    for (size_t v = 0; v < vectors; v++) store(c + r * c_stride + v * LANES, sums[r][v]);
}

/// The rows of one height, all columns; columns is a multiple of LANES.
INLINE void product_rows(
    const float *a, size_t a_stride, size_t rows, size_t inner, const float *b, size_t b_stride,
    size_t columns, float *c, size_t c_stride, bool accumulate) {
  size_t column = 0;
  for (; column + VECTOR_TILE * LANES <= columns; column += VECTOR_TILE * LANES)
    product_tile(
        a, a_stride, inner, b + column, b_stride, c + column, c_stride, rows, VECTOR_TILE,
        accumulate);
  for (; column < columns; column += LANES)
    product_tile(
        a, a_stride, inner, b + column, b_stride, c + column, c_stride, rows, 1, accumulate);
}

/// c [rows, columns] = or += a [rows, inner] . b [inner, columns]; columns a multiple of LANES.
static void product(
    const float *a, size_t a_stride, size_t rows, size_t inner, const float *b, size_t b_stride,
    size_t columns, float *c, size_t c_stride, bool accumulate) {
  while (rows > 0) {
    size_t height = rows >= ROW_TILE ? ROW_TILE : rows >= 4 ? 4 : 1;
    if (height == ROW_TILE)
      product_rows(
          a, a_stride, ROW_TILE, inner, b, b_stride, columns, c, c_stride, accumulate);
    else if (height == 4)
      product_rows(a, a_stride, 4, inner, b, b_stride, columns, c, c_stride, accumulate);
    else
      product_rows(a, a_stride, 1, inner, b, b_stride, columns, c, c_stride, accumulate);
    a += height * a_stride;
    c += height * c_stride;
    rows -= height;
  }
}

typedef float four_floats __attribute__((vector_size(16)));

/// to [columns, width] = from [rows, columns] transposed, zeros where rows < width.
/// width is a multiple of 4.
static void transpose(
    const float *from, size_t rows, size_t stride, size_t columns, float *to, size_t width) {
  size_t whole_rows = rows / 4 * 4, whole_columns = columns / 4 * 4;
  for (size_t row = 0; row < whole_rows; row += 4) {
    const float *source = from + row * stride;
    for (size_t column = 0; column < whole_columns; column += 4, source += 4) {
      four_floats a, b, c, d;
      memcpy(&a, source, sizeof a);
      memcpy(&b, source + stride, sizeof b);
      memcpy(&c, source + 2 * stride, sizeof c);
      memcpy(&d, source + 3 * stride, sizeof d);
      four_floats low_ab = __builtin_shufflevector(a, b, 0, 4, 1, 5);
      four_floats high_ab = __builtin_shufflevector(a, b, 2, 6, 3, 7);
      four_floats low_cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
      four_floats high_cd = __builtin_shufflevector(c, d, 2, 6, 3, 7);
      four_floats out[4] = {
        __builtin_shufflevector(low_ab, low_cd, 0, 1, 4, 5),
        __builtin_shufflevector(low_ab, low_cd, 2, 3, 6, 7),
        __builtin_shufflevector(high_ab, high_cd, 0, 1, 4, 5),
        __builtin_shufflevector(high_ab, high_cd, 2, 3, 6, 7),
      };
      for (size_t i = 0; i < 4; i++) memcpy(to + (column + i) * width + row, out + i, 16);
    }
  }
  for (size_t column = 0; column < columns; column++) {
    size_t done = column < whole_columns ? whole_rows : 0;
    for (size_t row = done; row < width; row++)
      to[column * width + row] = row < rows ? from[row * stride + column] : 0;
  }
}
