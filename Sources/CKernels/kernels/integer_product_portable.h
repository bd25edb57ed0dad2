// The integer product in plain C.

#pragma once

#include "integers.h"

static void multiply(
    const karat_integer_product *product, size_t row, size_t rows, size_t panel, size_t panels,
    float *floats_out, int32_t *integers_out) {
  size_t inputs = product->inputs;
  for (size_t p = panel; p < panel + panels; p++) {
    const int8_t *weights = product->panels + p * panel_bytes(inputs);
    panel_finish finish = finish_of(product, p);
    for (size_t r = row; r < row + rows; r++) {
      const uint8_t *x = product->x + r * inputs;
      int32_t sums[KARAT_PANEL_OUTPUTS] = {0};
      for (size_t input = 0; input < inputs; input++) {
        const int8_t *four =
            weights + input / KARAT_PANEL_INPUTS * (KARAT_PANEL_INPUTS * KARAT_PANEL_OUTPUTS)
            + input % KARAT_PANEL_INPUTS;
        for (size_t o = 0; o < KARAT_PANEL_OUTPUTS; o++)
          sums[o] += (int32_t)x[input] * four[o * KARAT_PANEL_INPUTS];
      }
      finish_row(&finish, sums, r, floats_out, integers_out);
    }
  }
}
