// CRC-32C of the processors that may have no instruction for it; ARM's where the target has it.

#pragma once

#include "crc32c_table.h"

#define crc32c karat_crc32c_table
