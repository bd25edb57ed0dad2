// INT8 weights as the integer products read them; the same for all instruction sets.

#include <string.h>

#include "CKernels.h"

void karat_pack_panel(
    const int8_t *codes, size_t count, size_t inputs, int8_t *panel, int32_t *row_sums) {
  size_t groups = (inputs + KARAT_PANEL_INPUTS - 1) / KARAT_PANEL_INPUTS;
  memset(panel, 0, groups * KARAT_PANEL_INPUTS * KARAT_PANEL_OUTPUTS);
  for (size_t output = 0; output < count; output++) {
    const int8_t *row = codes + output * inputs;
    int32_t sum = 0;
    for (size_t input = 0; input < inputs; input++) sum += row[input];
    row_sums[output] = sum;
    for (size_t group = 0; group < groups; group++) {
      size_t first = group * KARAT_PANEL_INPUTS, rest = inputs - first;
      memcpy(
          panel + (group * KARAT_PANEL_OUTPUTS + output) * KARAT_PANEL_INPUTS, row + first,
          rest < KARAT_PANEL_INPUTS ? rest : KARAT_PANEL_INPUTS);
    }
  }
}
