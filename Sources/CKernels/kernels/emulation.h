// Numbers of narrow formats, kept as float32: what arithmetic on narrow numbers would see.

#pragma once

#include "casts.h"

INLINE float rounded_to(karat_float_format format, float x) {
  switch (format) {
    case KARAT_F16: return float_of(bits_from_f16(f16_of(bits_of(x))));
    case KARAT_BF16: return float_of((uint32_t)bf16_of(bits_of(x)) << 16);
    case KARAT_F8_E4M3: {
      uint32_t code = e4m3_of(bits_of(x));
      float number = number_of_byte(code, 3, 7);
      return (code & 0x7f) == 0x7f ? NAN : number;
    }
    default: {
      // The cast goes to infinity beyond the greatest number.
      float size = fabsf(x) > 57344.0f ? 57344.0f : fabsf(x);
      return float_of(bits_from_f16((uint32_t)e5m2_of(bits_of(copysignf(size, x))) << 8));
    }
  }
}

INLINE void round_by(
    karat_float_format format, const float *x, size_t count, float scale, float *out) {
  for (size_t i = 0; i < count; i++) out[i] = rounded_to(format, x[i] * scale) / scale;
}

static void round_to_format(
    const float *x, karat_float_format format, size_t count, float scale, float *out) {
  switch (format) {
    case KARAT_F16: round_by(KARAT_F16, x, count, scale, out); break;
    case KARAT_BF16: round_by(KARAT_BF16, x, count, scale, out); break;
    case KARAT_F8_E4M3: round_by(KARAT_F8_E4M3, x, count, scale, out); break;
    default: round_by(KARAT_F8_E5M2, x, count, scale, out);
  }
}
