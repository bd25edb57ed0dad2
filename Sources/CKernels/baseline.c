// What every processor of the family runs: SSE2 on x86-64, NEON on ARM.

#define LANES 4
#define ROW_TILE 6
#define VECTOR_TILE 2
#define KARAT_TABLE karat_kernels_baseline
#define KARAT_LEVEL KARAT_BASELINE

#if defined(__ARM_FEATURE_CRC32)
#include "kernels/crc32c_instruction.h"
#else
#include "kernels/crc32c_portable.h"
#endif
#if defined(__aarch64__)
#include "kernels/integer_product_neon.h"
#else
#include "kernels/integer_product_portable.h"
#endif
#include "kernels/table.h"
