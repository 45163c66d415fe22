// The rows into which fp32 activations are brought before a matmul (to_activation of the table of kernels).
//
// kActBF16   k bfloat16, rounded to nearest, ties to even.
// kActQ8     int8 numbers a with one scale per block of 256 (kActQ8x32: of 32): x is near scale * a, |a| <= 127.
//            A row is, without gaps and with 4-byte alignment:
//              uint8  value[k]           a + 128: the instruction vpdpbusd takes one operand without sign
//              float  scale[k / block]   largest |x| of the block / 127
//              int16  sum[k / 16]        of a over 16 numbers: types with minima multiply these
//
// The arithmetic, the same bits in every table: a = round(x * (127 / largest)), ties to even. A block whose largest
// magnitude is below kSmallestScaled has scale 0 and numbers 0; one with a number that is not finite has scale NaN and
// numbers 0, so that what went wrong stays visible.
//
// Everything is `static`: units of different instruction sets include this.
#pragma once

#include <cstdint>

#include "compute/tensor/dtype.h"

namespace strata {

inline constexpr float kSmallestScaled = 1e-30f;

struct ActivationRow {
  const uint8_t* value;
  const float* scale;
  const int16_t* sum;
};

// Row `row` of x, rows of `type` (kActQ8 or kActQ8x32) with k numbers; stride = row_bytes(type, k).
static inline ActivationRow activation_row(const void* x, int64_t row, int64_t stride, int64_t k, int64_t block) {
  const uint8_t* base = static_cast<const uint8_t*>(x) + row * stride;
  return {base, reinterpret_cast<const float*>(base + k), reinterpret_cast<const int16_t*>(base + k + k / block * 4)};
}

}  // namespace strata
