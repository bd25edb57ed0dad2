// The linear map of many rows: weights of up to 96 outputs are transposed, then meet all rows.

#pragma once

#include "product.h"
#include "rows.h"

/// Inputs per pass over the rows, such that a block of rows stays in a core's cache.
static size_t input_block(size_t inputs) {
  size_t passes = (inputs + KARAT_INPUT_BLOCK - 1) / KARAT_INPUT_BLOCK;
  return passes > 0 ? (inputs + passes - 1) / passes : 1;
}

/// Columns come in whole vectors: what does not fit the result goes through scratch.
static bool fits(size_t outputs) { return outputs % LANES == 0; }

static size_t linear_scratch(size_t rows, size_t outputs) {
  return KARAT_OUTPUT_BLOCK * (KARAT_INPUT_BLOCK + (fits(outputs) ? 0 : rows));
}

static void linear_tile(
    const float *x, size_t rows, size_t inputs, const float *weight, size_t outputs,
    const float *bias, float *out, size_t stride, float *scratch) {
  size_t block = input_block(inputs), width = (outputs + LANES - 1) / LANES * LANES;
  bool whole = fits(outputs);
  float *packed = scratch, *spare = scratch + KARAT_OUTPUT_BLOCK * KARAT_INPUT_BLOCK;
  float *target = whole ? out : spare;
  size_t target_stride = whole ? stride : width;
  for (size_t input = 0; input < inputs || input == 0; input += block) {
    size_t length = inputs - input < block ? inputs - input : block;
    transpose(weight + input, outputs, inputs, length, packed, width);
    product(
        x + input, inputs, rows, length, packed, width, width, target, target_stride, input > 0);
  }
  for (size_t row = 0; row < rows; row++) {
    float *out_row = out + row * stride;
    if (!whole) memcpy(out_row, spare + row * width, outputs * sizeof *out);
    if (bias) add(out_row, bias, outputs, out_row);
  }
}
