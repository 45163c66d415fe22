// The rows into which fp32 activations are brought before a matmul (to_activation of the table of kernels).
//
// kActBF16   k bfloat16, rounded to nearest, ties to even.
// kActQ8     int8 numbers a with one scale per block of 256 (kActQ8x32: of 32): x is near scale * a, |a| <= 127.
//            A row is, without gaps and with 4-byte alignment:
//              int8   value[k]           a
//              float  scale[k / block]   largest |x| of the block / 127
//              int32  start_32[k / 32]   -128 times the sum of a over 32 numbers: weights are multiplied as numbers
//                                        without sign, w + offset, and the sum over a group starts at what takes the
//                                        offset off again
//            kActQ8 alone has also, for types with groups of 16 and for whole minima (quant_blocks.h):
//              int32  start_16[k / 16]   the same over 16 numbers
//              int16  sum_32[k / 32]     sum of a over 32 numbers
//              int16  sum_16[k / 16]     and over 16
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
inline constexpr int32_t kStartOffset = 128;

// Where the parts of a row of k numbers with one scale per `block` begin, in bytes from the row's first.
struct ActivationParts {
  int64_t scale, start_32;
  int64_t start_16, sum_32, sum_16;  // kActQ8
};
static inline ActivationParts activation_parts(int64_t k, int64_t block) {
  ActivationParts at = {};
  at.scale = k;
  at.start_32 = at.scale + k / block * 4;
  at.start_16 = at.start_32 + k / 32 * 4;
  at.sum_32 = at.start_16 + k / 16 * 4;
  at.sum_16 = at.sum_32 + k / 32 * 2;
  return at;
}

// The same for stretch i of `span` numbers, from its first number on, with groups of `group` (32, or 16 in kActQ8).
struct StructParts {
  int64_t scale, starts, sums;
};
static inline StructParts struct_parts(const ActivationParts& at, int64_t i, int span, int group) {
  const int64_t first = i * span, groups = first / group;
  return {at.scale + 4 * i - first, (group == 32 ? at.start_32 : at.start_16) + 4 * groups - first,
          (group == 32 ? at.sum_32 : at.sum_16) + 2 * groups - first};
}

// One block of a row, to be written.
struct ActivationBlock {
  int8_t* value;
  float* scale;
  int32_t* start_32;
  int32_t* start_16;  // this and the next: null where the type has none
  int16_t* sum_32;
  int16_t* sum_16;
};
// The one of number `begin` of the row at `row`.
static inline ActivationBlock activation_block(void* row, int64_t k, int64_t block, int64_t begin) {
  const ActivationParts at = activation_parts(k, block);
  auto* first = static_cast<int8_t*>(row);
  ActivationBlock out = {};
  out.value = first + begin;
  out.scale = reinterpret_cast<float*>(first + at.scale) + begin / block;
  out.start_32 = reinterpret_cast<int32_t*>(first + at.start_32) + begin / 32;
  if (block == 32) return out;
  out.start_16 = reinterpret_cast<int32_t*>(first + at.start_16) + begin / 16;
  out.sum_32 = reinterpret_cast<int16_t*>(first + at.sum_32) + begin / 32;
  out.sum_16 = reinterpret_cast<int16_t*>(first + at.sum_16) + begin / 16;
  return out;
}

// Writes what follows from the sums over numbers [32 i, 32 i + 16) and [32 i + 16, 32 i + 32) of the block.
static inline void store_sums(const ActivationBlock& to, int64_t i, int first, int second) {
  to.start_32[i] = -kStartOffset * (first + second);
  if (to.start_16 == nullptr) return;
  to.start_16[2 * i] = -kStartOffset * first;
  to.start_16[2 * i + 1] = -kStartOffset * second;
  to.sum_32[i] = static_cast<int16_t>(first + second);
  to.sum_16[2 * i] = static_cast<int16_t>(first);
  to.sum_16[2 * i + 1] = static_cast<int16_t>(second);
}

}  // namespace strata
