// Products of matrices of any layout: blocks of both factors are packed in the order in which the
// registers take them, after Goto and van de Geijn (2008).

#pragma once

#include "product.h"

/// Elements of the inner extent that one pass takes: a panel of b stays in the first cache, the rows
/// of a in the second.
#define INNER_BLOCK 192

/// Columns of a panel of packed b.
#define PANEL (VECTOR_TILE * LANES)

/// Inner elements of one pass: about equally many in each.
static size_t inner_block(size_t inner) {
  size_t passes = (inner + INNER_BLOCK - 1) / INNER_BLOCK;
  return passes > 0 ? (inner + passes - 1) / passes : 0;
}

INLINE size_t rounded_up(size_t count, size_t step) { return (count + step - 1) / step * step; }

static size_t product_scratch(const karat_product_block *block) {
  return inner_block(block->inner)
      * (rounded_up(block->rows, ROW_TILE) + rounded_up(block->columns, PANEL));
}

/// to [strips, inner, width]: strips of `width` of the lines of a matrix, zeros beyond the last.
///
/// Lines are the matrix's rows [lines, inner], or its columns [inner, lines].
INLINE void pack_strips(
    const float *from, size_t stride, bool lines_are_rows, size_t lines, size_t inner, float *to,
    size_t width) {
  size_t size = inner * width, whole = lines / width * width, rest = lines - whole;
  if (lines_are_rows) {
    for (size_t line = 0; line < lines; line += width, to += size)
      transpose(
          from + line * stride, lines - line < width ? lines - line : width, stride, inner, to,
          width);
    return;
  }
  for (size_t k = 0; k < inner; k++, from += stride, to += width) {
    float *strip = to;
    for (size_t line = 0; line < whole; line += width, strip += size)
      memcpy(strip, from + line, width * sizeof *to);
    for (size_t i = 0; rest > 0 && i < width; i++) strip[i] = i < rest ? from[whole + i] : 0;
  }
}

/// c [ROW_TILE, PANEL] += a [inner, ROW_TILE] transposed . b [inner, PANEL], in registers.
INLINE void packed_tile(const float *a, const float *b, size_t inner, float *c, size_t c_stride) {
  floats sums[ROW_TILE][VECTOR_TILE];
#pragma clang loop unroll(full)
  for (size_t r = 0; r < ROW_TILE; r++) {
    __builtin_prefetch(c + r * c_stride, 1);
#pragma clang loop unroll(full)
    for (size_t v = 0; v < VECTOR_TILE; v++) sums[r][v] = splat(0);
  }
#pragma clang loop unroll_count(4)
  for (size_t k = 0; k < inner; k++, a += ROW_TILE, b += PANEL) {
    floats row[VECTOR_TILE];
#pragma clang loop unroll(full)
    for (size_t v = 0; v < VECTOR_TILE; v++) row[v] = in_register(load(b + v * LANES));
#pragma clang loop unroll(full)
    for (size_t r = 0; r < ROW_TILE; r++) {
      floats factor = in_register(splat(a[r]));
#pragma clang loop unroll(full)
      for (size_t v = 0; v < VECTOR_TILE; v++) fused_add(&sums[r][v], factor, row[v]);
    }
    end_of_step();
  }
#pragma clang loop unroll(full)
  for (size_t r = 0; r < ROW_TILE; r++)
#pragma clang loop unroll(full)
    for (size_t v = 0; v < VECTOR_TILE; v++) {
      float *to = c + r * c_stride + v * LANES;
      store(to, load(to) + sums[r][v]);
    }
}

static void add_product(const karat_product_block *block, float *scratch) {
  size_t step = inner_block(block->inner), rows = block->rows, columns = block->columns;
  float *packed_a = scratch, *packed_b = scratch + step * rounded_up(rows, ROW_TILE);
  for (size_t first = 0; first < block->inner; first += step) {
    size_t inner = block->inner - first < step ? block->inner - first : step;
    const float *a = block->a + first * (block->a_is_transposed ? block->a_stride : 1);
    pack_strips(a, block->a_stride, !block->a_is_transposed, rows, inner, packed_a, ROW_TILE);
    pack_strips(
        block->b + first * block->b_stride, block->b_stride, false, columns, inner, packed_b,
        PANEL);
    for (size_t column = 0; column < columns; column += PANEL)
      for (size_t row = 0; row < rows; row += ROW_TILE) {
        float *c = block->c + row * block->c_stride + column;
        size_t height = rows - row < ROW_TILE ? rows - row : ROW_TILE;
        size_t width = columns - column < PANEL ? columns - column : PANEL;
        const float *strip = packed_a + row * inner, *panel = packed_b + column * inner;
        if (height == ROW_TILE && width == PANEL) {
          packed_tile(strip, panel, inner, c, block->c_stride);
          continue;
        }
        // Whole vectors would write past the block.
        float part[ROW_TILE * PANEL] = {0};
        packed_tile(strip, panel, inner, part, PANEL);
        for (size_t r = 0; r < height; r++)
          for (size_t i = 0; i < width; i++) c[r * block->c_stride + i] += part[r * PANEL + i];
      }
  }
}
