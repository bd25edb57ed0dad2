#if defined(__x86_64__)

#include <immintrin.h>
#include <math.h>
#include <string.h>

#define LANES 16
#define ROW_TILE 12
#define VECTOR_TILE 2
#define KARAT_TABLE karat_kernels_avx512
#define KARAT_LEVEL KARAT_AVX512

#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma"))), \
    apply_to = function)
#include "kernels/crc32c_instruction.h"
#include "kernels/integer_product_vnni.h"
#include "kernels/table.h"
#pragma clang attribute pop

#endif
