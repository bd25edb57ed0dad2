// The two faces of `multiply`, which each instruction set defines before including this.

#pragma once

#include "integers.h"

static void integer_linear(
    const karat_integer_product *product, size_t row, size_t rows, size_t panel, size_t panels,
    float *out) {
  multiply(product, row, rows, panel, panels, out, NULL);
}

static void integer_accumulate(
    const karat_integer_product *product, size_t row, size_t rows, size_t panel, size_t panels,
    int32_t *out) {
  multiply(product, row, rows, panel, panels, NULL, out);
}
