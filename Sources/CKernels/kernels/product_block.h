// Products of matrices of any layout, added to a result: the gradients of linear maps.

#pragma once

#include "product.h"

/// Elements of the inner extent that one pass takes, such that a panel of b, and of a the rows in
/// use, stay in a core's cache.
#define INNER_BLOCK 256
/// Columns of a panel of b that is packed at a time, a multiple of LANES.
#define PANEL_COLUMNS 96

/// Inner elements per pass, about equally many in each, a multiple of 4 where there are several.
static size_t inner_block(size_t inner) {
  size_t passes = (inner + INNER_BLOCK - 1) / INNER_BLOCK;
  return passes > 0 ? ((inner + passes - 1) / passes + 3) / 4 * 4 : 4;
}

static size_t product_scratch(const karat_product_block *block) {
  size_t packed_a = block->a_is_transposed ? block->rows * INNER_BLOCK : 0;
  size_t spare = block->columns % LANES ? block->rows * PANEL_COLUMNS : 0;
  return INNER_BLOCK * PANEL_COLUMNS + packed_a + spare;
}

/// to [rows, width] = from [rows, columns], zeros beyond the columns.
INLINE void pack_panel(
    const float *from, size_t rows, size_t stride, size_t columns, float *to, size_t width) {
  for (size_t row = 0; row < rows; row++, from += stride, to += width) {
    memcpy(to, from, columns * sizeof *to);
    for (size_t column = columns; column < width; column++) to[column] = 0;
  }
}

static void add_product(const karat_product_block *block, float *scratch) {
  size_t step = inner_block(block->inner), rows = block->rows;
  float *packed_b = scratch, *packed_a = packed_b + INNER_BLOCK * PANEL_COLUMNS;
  float *spare = packed_a + (block->a_is_transposed ? rows * INNER_BLOCK : 0);
  for (size_t first = 0; first < block->inner; first += step) {
    size_t inner = block->inner - first < step ? block->inner - first : step;
    const float *a = block->a + first * (block->a_is_transposed ? block->a_stride : 1);
    size_t a_stride = block->a_stride;
    if (block->a_is_transposed) {
      transpose(a, inner, a_stride, rows, packed_a, step);
      a = packed_a;
      a_stride = step;
    }
    for (size_t column = 0; column < block->columns; column += PANEL_COLUMNS) {
      size_t columns = block->columns - column;
      if (columns > PANEL_COLUMNS) columns = PANEL_COLUMNS;
      size_t width = (columns + LANES - 1) / LANES * LANES;
      float *c = block->c + column;
      pack_panel(
          block->b + first * block->b_stride + column, inner, block->b_stride, columns, packed_b,
          width);
      if (width == columns) {
        product(
            a, a_stride, rows, inner, packed_b, width, width, c, block->c_stride, true);
        continue;
      }
      // Whole vectors would write past the columns.
      product(a, a_stride, rows, inner, packed_b, width, width, spare, width, false);
      for (size_t row = 0; row < rows; row++)
        for (size_t i = 0; i < columns; i++) c[row * block->c_stride + i] += spare[row * width + i];
    }
  }
}
