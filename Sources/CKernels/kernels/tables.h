// The tables of the instruction sets that this processor family may have.

#pragma once

#include "CKernels.h"

extern const karat_kernels karat_kernels_baseline;
#if defined(__x86_64__)
extern const karat_kernels karat_kernels_avx2;
extern const karat_kernels karat_kernels_avx512;
#endif
