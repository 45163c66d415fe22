// How the sums over the groups of a block of weights are joined; the whole arithmetic is in reference/matmul.h.
//
// Types whose scales are floats multiply the exact sum of each group with its scale. Those whose scales are whole
// numbers join groups in whole numbers too, two at a time: one instruction multiplies a pair of int16 with a pair of
// scales. The sums are brought into int16 by a shift: groups of even index are rounded down, of odd index up, so that
// nothing is lost on average.
#pragma once

#include <cstdint>

#include "compute/tensor/dtype.h"

namespace strata {

inline constexpr int kFloatScales = -1;

// Bits that the sums over groups are shifted by, or kFloatScales. |sum| is at most 16 * 3 * 127 (Q2_K), 16 * 4 * 127
// (Q3_K), 32 * 15 * 127 (Q4_K), 32 * 31 * 127 (Q5_K), 16 * 32 * 127 (Q6_K).
constexpr int dot_shift(DType weight) {
  switch (weight) {
    case DType::kQ2_K:
    case DType::kQ3_K:
      return 0;
    case DType::kQ4_K:
    case DType::kQ6_K:
      return 1;
    case DType::kQ5_K:
      return 2;
    default:
      return kFloatScales;
  }
}

// What is added to the sum over a group before it is shifted.
constexpr int32_t rounding(int shift, int group) { return group % 2 == 0 ? 0 : (1 << shift) - 1; }

}  // namespace strata
