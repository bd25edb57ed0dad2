// Products of BF16 numbers by vdpbf16ps, where the processor has it: 12 rows by 32 columns stay in 24
// registers, and two numbers of each factor meet in a step.

#include <string.h>

#include "CKernels.h"

#if defined(__x86_64__)

#include <immintrin.h>

#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16"))), \
    apply_to = function)

#define ROWS KARAT_BFLOAT16_ROWS
#define COLUMNS KARAT_BFLOAT16_COLUMNS
/// Pairs that are multiplied before the sums go back to memory, so that both factors stay in cache.
#define PAIRS_AT_A_TIME 256

static inline uint32_t pair_of(float low, float high) {
  __m128bh both = _mm_cvtne2ps_pbh(_mm_set_ss(high), _mm_set_ss(low));
  uint16_t numbers[8];
  memcpy(numbers, &both, sizeof both);
  return (uint32_t)numbers[0] | (uint32_t)numbers[4] << 16;
}

/// Numbers that follow each other along the inner extent: [count][inner] at a stride.
static void pack_inner(
    const float *x, size_t stride, size_t count, size_t inner, size_t width, uint32_t *out) {
  for (size_t i = 0; i < count; i++) {
    const float *row = x + i * stride;
    size_t pair = 0, pairs = (inner + 1) / 2;
    for (; 2 * pair + 32 <= inner; pair += 16) {
      __m512bh both = _mm512_cvtne2ps_pbh(
          _mm512_loadu_ps(row + 2 * pair + 16), _mm512_loadu_ps(row + 2 * pair));
      uint32_t numbers[16];
      memcpy(numbers, &both, sizeof both);
      for (size_t j = 0; j < 16; j++) out[(pair + j) * width + i] = numbers[j];
    }
    for (; pair < pairs; pair++)
      out[pair * width + i] =
          pair_of(row[2 * pair], 2 * pair + 1 < inner ? row[2 * pair + 1] : 0);
  }
}

/// Numbers that follow each other along the outer extent: [inner][count] at a stride.
static void pack_outer(
    const float *x, size_t stride, size_t count, size_t inner, size_t width, uint32_t *out) {
  const __m512i order = _mm512_set_epi16(
      31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21, 5, 20, 4, 19,
      3, 18, 2, 17, 1, 16, 0);
  for (size_t first = 0; first < inner; first += 2, out += width)
    for (size_t i = 0; i < count; i += 16) {
      size_t rest = count - i;
      __mmask16 lanes = rest >= 16 ? 0xffff : (__mmask16)((1u << rest) - 1);
      __m512 low = _mm512_maskz_loadu_ps(lanes, x + first * stride + i);
      __m512 high = first + 1 < inner
                        ? _mm512_maskz_loadu_ps(lanes, x + (first + 1) * stride + i)
                        : _mm512_setzero_ps();
      __m512bh both = _mm512_cvtne2ps_pbh(high, low);
      __m512i numbers;
      memcpy(&numbers, &both, sizeof numbers);
      _mm512_mask_storeu_epi32(out + i, lanes, _mm512_permutexvar_epi16(order, numbers));
    }
}

static void pack(
    const float *x, size_t stride, bool is_inner_contiguous, size_t count, size_t inner,
    size_t width, uint32_t *out) {
  size_t pairs = (inner + 1) / 2;
  for (size_t first = 0; first < count; first += width, out += pairs * width) {
    size_t rest = count - first < width ? count - first : width;
    if (rest < width) memset(out, 0, pairs * width * sizeof *out);
    if (is_inner_contiguous) pack_inner(x + first * stride, stride, rest, inner, width, out);
    else pack_outer(x + first, stride, rest, inner, width, out);
  }
}

/// c [rows, columns] = or += the panels' product; both panels are whole.
static inline void multiply_tile(
    const uint32_t *a, const uint32_t *b, size_t pairs, float *c, size_t stride, size_t rows,
    const __mmask16 lanes[2], bool accumulate) {
  __m512 sums[ROWS][2];
#pragma clang loop unroll(full)
  for (size_t r = 0; r < ROWS; r++) sums[r][0] = sums[r][1] = _mm512_setzero_ps();
  for (size_t pair = 0; pair < pairs; pair++, a += ROWS, b += COLUMNS) {
    __m512bh low = (__m512bh)_mm512_loadu_si512(b), high = (__m512bh)_mm512_loadu_si512(b + 16);
#pragma clang loop unroll(full)
    for (size_t r = 0; r < ROWS; r++) {
      __m512bh factor = (__m512bh)_mm512_set1_epi32((int)a[r]);
      sums[r][0] = _mm512_dpbf16_ps(sums[r][0], factor, low);
      sums[r][1] = _mm512_dpbf16_ps(sums[r][1], factor, high);
    }
  }
#pragma clang loop unroll(full)
  for (size_t r = 0; r < ROWS; r++) {
    if (r >= rows) continue;
#pragma clang loop unroll(full)
    for (size_t half = 0; half < 2; half++) {
      float *target = c + r * stride + 16 * half;
      __m512 sum = sums[r][half];
      if (accumulate) sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(lanes[half], target));
      _mm512_mask_storeu_ps(target, lanes[half], sum);
    }
  }
}

static __mmask16 lanes_of(size_t columns) {
  return columns >= 16 ? 0xffff : (__mmask16)((1u << columns) - 1);
}

static void multiply(
    const uint32_t *a, size_t rows, const uint32_t *b, size_t columns, size_t inner, float *c,
    size_t stride, bool accumulate) {
  size_t pairs = (inner + 1) / 2;
  for (size_t pair = 0; pair < pairs; pair += PAIRS_AT_A_TIME) {
    size_t count = pairs - pair < PAIRS_AT_A_TIME ? pairs - pair : PAIRS_AT_A_TIME;
    for (size_t column = 0; column < columns; column += COLUMNS) {
      size_t rest = columns - column;
      __mmask16 lanes[2] = {lanes_of(rest), rest > 16 ? lanes_of(rest - 16) : 0};
      for (size_t row = 0; row < rows; row += ROWS)
        multiply_tile(
            a + row * pairs + pair * ROWS, b + column * pairs + pair * COLUMNS, count,
            c + row * stride + column, stride, rows - row < ROWS ? rows - row : ROWS, lanes,
            accumulate || pair > 0);
    }
  }
}

#pragma clang attribute pop

static const karat_bfloat16_kernels bfloat16_kernels = {.pack = pack, .multiply = multiply};

const karat_bfloat16_kernels *karat_bfloat16(void) {
  __builtin_cpu_init();
  return karat_active()->instruction_set == KARAT_AVX512 && __builtin_cpu_supports("avx512bf16")
             ? &bfloat16_kernels
             : NULL;
}

#else

const karat_bfloat16_kernels *karat_bfloat16(void) { return NULL; }

#endif
