// Quantization of rows, and the portable part of the integer product.

#pragma once

#include "vector.h"

/// round(x / scale) + offset within [low, high], ties to even; NaN becomes `offset`.
/// The bounds are integers, so the order of rounding and bounding does not matter.
INLINE int32_t code_of(float x, float scale, float low, float high, int32_t offset) {
  float steps = x / scale;
  steps = steps > low ? steps : (steps <= low ? low : 0);
  steps = steps < high ? steps : high;
  return (int32_t)((steps + 12582912.0f) - 12582912.0f) + offset;
}

static void quantize(const float *x, size_t count, float scale, uint8_t zero_point, uint8_t *out) {
  float low = -(float)zero_point, high = 255.0f - (float)zero_point;
  for (size_t i = 0; i < count; i++) out[i] = (uint8_t)code_of(x[i], scale, low, high, zero_point);
}

static void quantize_row(const float *x, size_t count, float scale, float limit, int8_t *out) {
  for (size_t i = 0; i < count; i++) out[i] = (int8_t)code_of(x[i], scale, -limit, limit, 0);
}

static void dequantize_row(const int8_t *codes, size_t count, float scale, float *out) {
  for (size_t i = 0; i < count; i++) out[i] = (float)codes[i] * scale;
}

static void dequantize(
    const uint8_t *codes, size_t count, float scale, uint8_t zero_point, float *out) {
  for (size_t i = 0; i < count; i++) out[i] = scale * (float)((int32_t)codes[i] - zero_point);
}

/// Panels are [inputs / 4 rounded up, 32, 4].
INLINE size_t panel_bytes(size_t inputs) {
  return (inputs + KARAT_PANEL_INPUTS - 1) / KARAT_PANEL_INPUTS * KARAT_PANEL_INPUTS
      * KARAT_PANEL_OUTPUTS;
}

/// What becomes of the accumulators of a panel.
typedef struct {
  /// zero_point * row_sum, weight_scale, and bias of each output; of none: 0, 0, -0.
  int32_t offsets[KARAT_PANEL_OUTPUTS];
  float factors[KARAT_PANEL_OUTPUTS], biases[KARAT_PANEL_OUTPUTS];
  /// Step of each row's activations, or of all: `scale_stride` is 0 then.
  const float *scales;
  size_t scale_stride;
  /// Place of the panel in a row of outputs, and how many there are.
  size_t first, count, outputs;
} panel_finish;

static panel_finish finish_of(const karat_integer_product *product, size_t panel) {
  panel_finish finish;
  finish.first = panel * KARAT_PANEL_OUTPUTS;
  finish.outputs = product->outputs;
  finish.scales = product->scales;
  finish.scale_stride = product->scale_per_row ? 1 : 0;
  size_t rest = product->outputs - finish.first;
  finish.count = rest < KARAT_PANEL_OUTPUTS ? rest : KARAT_PANEL_OUTPUTS;
  if (finish.count < KARAT_PANEL_OUTPUTS) {
    memset(finish.offsets, 0, sizeof finish.offsets);
    memset(finish.factors, 0, sizeof finish.factors);
  }
  // Integers wrap on the way; their difference does not.
  for (size_t i = 0; i < finish.count; i++)
    finish.offsets[i] = (int32_t)((uint32_t)product->zero_point
                                  * (uint32_t)product->row_sums[finish.first + i]);
  for (size_t i = 0; i < finish.count; i++)
    finish.factors[i] = product->weight_scales[finish.first + i];
  for (size_t i = 0; i < KARAT_PANEL_OUTPUTS; i++) finish.biases[i] = -0.0f;
  if (product->bias)
    memcpy(
        finish.biases, product->bias + finish.first, finish.count * sizeof *finish.biases);
  return finish;
}

/// Puts out the accumulators of one row, or float(acc - offset) * (scale * factor) + bias, never
/// fused, so that all instruction sets give the same floats.
INLINE void finish_row(
    const panel_finish *finish, const int32_t *accumulators, size_t row, float *floats_out,
    int32_t *integers_out) {
#pragma clang fp contract(off)
  size_t place = row * finish->outputs + finish->first;
  if (integers_out) {
    memcpy(integers_out + place, accumulators, finish->count * sizeof *accumulators);
    return;
  }
  float finished[KARAT_PANEL_OUTPUTS];
  bool full = finish->count == KARAT_PANEL_OUTPUTS;
  float *out = full ? floats_out + place : finished;
  floats scale = splat(finish->scales[row * finish->scale_stride]);
  for (size_t i = 0; i < KARAT_PANEL_OUTPUTS; i += LANES) {
    ints sums, offsets;
    memcpy(&sums, accumulators + i, sizeof sums);
    memcpy(&offsets, finish->offsets + i, sizeof offsets);
    floats centred = __builtin_convertvector(sums - offsets, floats);
    store(out + i, centred * (scale * load(finish->factors + i)) + load(finish->biases + i));
  }
  if (!full) memcpy(floats_out + place, finished, finish->count * sizeof *finished);
}

/// Four consecutive codes of a row, zeros beyond its end.
INLINE uint32_t four_codes(const uint8_t *x, size_t inputs, size_t input) {
  uint32_t word = 0;
  size_t rest = inputs - input;
  memcpy(&word, x + input, rest < 4 ? rest : 4);
  return word;
}
