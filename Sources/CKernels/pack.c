// INT8 weights as the integer products read them; the same for all instruction sets.

#include <string.h>

#include "CKernels.h"

/// Four inputs of each of four outputs.
typedef uint32_t four_groups __attribute__((vector_size(16)));

static int32_t sum_of(const int8_t *row, size_t count) {
  // As many codes as have a sum of 16 bits: a vector holds twice as many of these.
  const size_t block = 256;
  int32_t sum = 0;
  for (size_t first = 0; first < count; first += block) {
    size_t rest = count - first, length = rest < block ? rest : block;
    int16_t part = 0;
    for (size_t i = 0; i < length; i++) part = (int16_t)(part + row[first + i]);
    sum += part;
  }
  return sum;
}

/// Four rows, as many groups as come in fours: a transposition of words. Returns how many.
static size_t pack_four_rows(const int8_t *codes, size_t inputs, int8_t *panel) {
  const size_t group_bytes = KARAT_PANEL_INPUTS * KARAT_PANEL_OUTPUTS;
  size_t groups = inputs / sizeof(four_groups) * 4;
  for (size_t group = 0; group < groups; group += 4) {
    const int8_t *from = codes + group * KARAT_PANEL_INPUTS;
    int8_t *to = panel + group * group_bytes;
    four_groups a, b, c, d;
    memcpy(&a, from, sizeof a);
    memcpy(&b, from + inputs, sizeof b);
    memcpy(&c, from + 2 * inputs, sizeof c);
    memcpy(&d, from + 3 * inputs, sizeof d);
    four_groups low_ab = __builtin_shufflevector(a, b, 0, 4, 1, 5);
    four_groups high_ab = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    four_groups low_cd = __builtin_shufflevector(c, d, 0, 4, 1, 5);
    four_groups high_cd = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    four_groups out[4] = {
      __builtin_shufflevector(low_ab, low_cd, 0, 1, 4, 5),
      __builtin_shufflevector(low_ab, low_cd, 2, 3, 6, 7),
      __builtin_shufflevector(high_ab, high_cd, 0, 1, 4, 5),
      __builtin_shufflevector(high_ab, high_cd, 2, 3, 6, 7),
    };
    for (size_t i = 0; i < 4; i++) memcpy(to + i * group_bytes, out + i, sizeof *out);
  }
  return groups;
}

void karat_pack_panel(
    const int8_t *codes, size_t count, size_t inputs, int8_t *panel, int32_t *row_sums) {
  const size_t group_bytes = KARAT_PANEL_INPUTS * KARAT_PANEL_OUTPUTS;
  size_t groups = (inputs + KARAT_PANEL_INPUTS - 1) / KARAT_PANEL_INPUTS;
  if (count < KARAT_PANEL_OUTPUTS) memset(panel, 0, groups * group_bytes);
  size_t done = 0;
  for (size_t output = 0; output < count; output++) {
    const int8_t *row = codes + output * inputs;
    int8_t *to = panel + output * KARAT_PANEL_INPUTS;
    row_sums[output] = sum_of(row, inputs);
    if (output % 4 == 0) done = count - output < 4 ? 0 : pack_four_rows(row, inputs, to);
    for (size_t group = done; group < groups; group++) {
      size_t first = group * KARAT_PANEL_INPUTS, rest = inputs - first;
      int8_t four[KARAT_PANEL_INPUTS] = {0};
      memcpy(four, row + first, rest < sizeof four ? rest : sizeof four);
      memcpy(to + group * group_bytes, four, sizeof four);
    }
  }
}
