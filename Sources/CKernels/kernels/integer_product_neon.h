// The integer product by widening multiplications. Codes up to 255 fit in signed 16 bits.

#pragma once

#include <arm_neon.h>

#include "integers.h"

INLINE void multiply_rows(
    const uint8_t *x, size_t inputs, const int8_t *weights, int32_t *sums) {
  int32x4_t totals[8];
  for (size_t v = 0; v < 8; v++) totals[v] = vdupq_n_s32(0);
  for (size_t input = 0; input < inputs; input += KARAT_PANEL_INPUTS) {
    uint32_t four = four_codes(x, inputs, input);
    uint8x8_t codes = vreinterpret_u8_u32(vdup_n_u32(four));
    int16x8_t wide_codes = vreinterpretq_s16_u16(vmovl_u8(codes));
    for (size_t v = 0; v < 8; v++) {
      int8x16_t packed = vld1q_s8(weights + input * KARAT_PANEL_OUTPUTS + v * 16);
      int16x8_t first = vmovl_s8(vget_low_s8(packed)), second = vmovl_s8(vget_high_s8(packed));
      // Four products of each output, added in pairs twice.
      int32x4_t a = vmull_s16(vget_low_s16(first), vget_low_s16(wide_codes));
      int32x4_t b = vmull_s16(vget_high_s16(first), vget_high_s16(wide_codes));
      int32x4_t c = vmull_s16(vget_low_s16(second), vget_low_s16(wide_codes));
      int32x4_t d = vmull_s16(vget_high_s16(second), vget_high_s16(wide_codes));
      totals[v] = vaddq_s32(totals[v], vpaddq_s32(vpaddq_s32(a, b), vpaddq_s32(c, d)));
    }
  }
  for (size_t v = 0; v < 8; v++) vst1q_s32(sums + v * 4, totals[v]);
}

static void multiply(
    const karat_integer_product *product, size_t row, size_t rows, size_t panel, size_t panels,
    float *floats_out, int32_t *integers_out) {
  size_t inputs = product->inputs;
  for (size_t p = panel; p < panel + panels; p++) {
    panel_finish finish = finish_of(product, p);
    for (size_t r = row; r < row + rows; r++) {
      int32_t sums[KARAT_PANEL_OUTPUTS];
      multiply_rows(
          product->x + r * inputs, inputs, product->panels + p * panel_bytes(inputs), sums);
      finish_row(&finish, sums, r, floats_out, integers_out);
    }
  }
}
