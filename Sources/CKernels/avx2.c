#if defined(__x86_64__)

#include <immintrin.h>
#include <math.h>
#include <string.h>

#define LANES 8
#define ROW_TILE 6
#define VECTOR_TILE 2
#define KARAT_TABLE karat_kernels_avx2
#define KARAT_LEVEL KARAT_AVX2

#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#include "kernels/crc32c_instruction.h"
#include "kernels/integer_product_avx2.h"
#include "kernels/table.h"
#pragma clang attribute pop

#endif
