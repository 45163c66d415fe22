// What one core can do, to set results against: arithmetic in registers alone, and reading memory in order.
#pragma once

#include <cstddef>
#include <cstdint>

namespace strata::bench {

enum class Peak { kInt8, kBF16, kF32 };

// Operations (a product and a sum are two) of one short run of the instruction that the matmuls use: vpdpbusd,
// vdpbf16ps, vfmadd231ps on 512 bits. Needs a processor with them.
double run_arithmetic(Peak peak);
// Reads n bytes (a multiple of 256) in order, 64 bytes aligned.
void read_memory(const void* p, size_t n);

}  // namespace strata::bench
