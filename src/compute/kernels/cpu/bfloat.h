// bfloat16 in memory, a type of its own beside binary16, which is a bare uint16_t here.
#pragma once

#include <cstdint>

namespace strata {

struct BFloat {
  uint16_t bits;
};

// A word of two, for instructions that multiply both and add.
struct BFloatPair {
  BFloat first, second;
};

}  // namespace strata
