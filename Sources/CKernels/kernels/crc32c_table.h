// CRC-32C by tables, eight bytes at a time.

#pragma once

#include <stddef.h>
#include <stdint.h>

/// The checksum of `count` more bytes, given that of those before; 0 for none.
uint32_t karat_crc32c_table(uint32_t checksum, const void *bytes, size_t count);
