// Words of memory, as the loops of matmuls read them. Everything is `static`: units of different instruction sets
// include this.
#pragma once

#include <cstdint>

#include "compute/kernels/cpu/inlining.h"

namespace strata {

STRATA_INLINE float load_word(const uint8_t* p) {
  float word;
  __builtin_memcpy(&word, p, sizeof(word));
  return word;
}

// Asks for the line at this address. A number: beyond the end of the weights a prefetch, unlike a pointer, may go.
STRATA_INLINE void prefetch_line(uintptr_t at) { __builtin_prefetch(reinterpret_cast<const char*>(at), 0, 3); }

}  // namespace strata
