// Cyclic redundancy checks by tables: CRC-32C for processors without an instruction for it, and
// CRC-32 of zip archives, for which x86-64 has none.

#include <pthread.h>
#include <string.h>

#include "CKernels.h"
#include "kernels/crc32c_table.h"

// tables[k][b]: the checksum's change by byte b with k zero bytes behind it.
typedef uint32_t crc_tables[8][256];

static crc_tables crc32c_tables, crc32_tables;
static pthread_once_t are_tables_made = PTHREAD_ONCE_INIT;

// The polynomial comes with its bits reflected.
static void make(crc_tables tables, uint32_t polynomial) {
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t value = byte;
    for (int bit = 0; bit < 8; bit++) value = value >> 1 ^ (value & 1 ? polynomial : 0);
    tables[0][byte] = value;
  }
  for (int zeros = 1; zeros < 8; zeros++)
    for (uint32_t byte = 0; byte < 256; byte++) {
      uint32_t value = tables[zeros - 1][byte];
      tables[zeros][byte] = value >> 8 ^ tables[0][value & 0xff];
    }
}

static void make_tables(void) {
  make(crc32c_tables, 0x82f63b78);
  make(crc32_tables, 0xedb88320);
}

static uint32_t append(
    const crc_tables tables, uint32_t checksum, const void *bytes, size_t count) {
  const uint8_t *next = bytes;
  uint32_t value = ~checksum;
  for (; count >= 8; count -= 8, next += 8) {
    uint64_t word;
    memcpy(&word, next, sizeof word);
    word ^= value;
    value = 0;
    for (int byte = 0; byte < 8; byte++) value ^= tables[7 - byte][word >> 8 * byte & 0xff];
  }
  for (; count > 0; count--, next++) value = value >> 8 ^ tables[0][(value ^ *next) & 0xff];
  return ~value;
}

uint32_t karat_crc32c_table(uint32_t checksum, const void *bytes, size_t count) {
  pthread_once(&are_tables_made, make_tables);
  return append(crc32c_tables, checksum, bytes, count);
}

uint32_t karat_crc32(uint32_t checksum, const void *bytes, size_t count) {
  pthread_once(&are_tables_made, make_tables);
  return append(crc32_tables, checksum, bytes, count);
}
