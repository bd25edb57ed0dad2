// Whether bytes repeat; the same for all instruction sets, since the library's comparison is fast.

#include <string.h>

#include "CKernels.h"

size_t karat_repeated_bytes(const void *bytes, size_t count) {
  const uint8_t *all = bytes;
  for (size_t period = 1; period <= 8; period *= 2)
    if (count >= period && count % period == 0 && memcmp(all, all + period, count - period) == 0)
      return period;
  return 0;
}
