// Which instruction set is in use.

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/tables.h"

karat_instruction_set karat_detected_instruction_set(void) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
      && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")
      && __builtin_cpu_supports("avx512vnni"))
    return KARAT_AVX512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return KARAT_AVX2;
#endif
  return KARAT_BASELINE;
}

const karat_kernels *karat_kernels_for(karat_instruction_set level) {
  karat_instruction_set detected = karat_detected_instruction_set();
  switch (level < detected ? level : detected) {
#if defined(__x86_64__)
    case KARAT_AVX512: return &karat_kernels_avx512;
    case KARAT_AVX2: return &karat_kernels_avx2;
#endif
    default: return &karat_kernels_baseline;
  }
}

static _Atomic(const karat_kernels *) active;

const karat_kernels *karat_active(void) {
  const karat_kernels *kernels = atomic_load_explicit(&active, memory_order_acquire);
  if (kernels) return kernels;
  const char *wanted = getenv("KARAT_ISA");
  karat_instruction_set level = KARAT_AVX512;
  if (wanted && strcmp(wanted, "avx2") == 0) level = KARAT_AVX2;
  if (wanted && strcmp(wanted, "scalar") == 0) level = KARAT_BASELINE;
  karat_set_instruction_set(level);
  return atomic_load_explicit(&active, memory_order_acquire);
}

karat_instruction_set karat_set_instruction_set(karat_instruction_set level) {
  const karat_kernels *kernels = karat_kernels_for(level);
  atomic_store_explicit(&active, kernels, memory_order_release);
  return kernels->instruction_set;
}
