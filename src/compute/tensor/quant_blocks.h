// Quantized blocks: rows of weights to and from fp32.
//
// A row of k numbers is k / block_elements blocks, one after the other (dtype.h). A number is made of a code q of few
// bits; d, dmin, m are fp16:
//   Q8_0   [32]   d * q                      q int8
//   Q4_0   [32]   d * (q - 8)                q 4 bits: byte i holds number i (low) and i + 16 (high)
//   Q4_1   [32]   d * q + m                  the same
//   Q5_0   [32]   d * (q - 16)               q 5 bits: four as above, the fifth of number i is bit i of 32
//   Q5_1   [32]   d * q + m                  the same
//   IQ4_NL [32]   d * kIQ4Values[q]          q 4 bits
//   MXFP4  [32]   2^(e - 128) * kFP4Values[q]  q 4 bits, e a byte; the values are doubled, so that they are whole
//   Q2_K   [256]  d * s * q - dmin * m       q 2 bits; s, m 4 bits for each 16 numbers
//   Q3_K   [256]  d * s * (q - 4)            q 3 bits; s 6 bits, -32 ... 31, for each 16 numbers
//   Q4_K   [256]  d * s * q - dmin * m       q 4 bits; s, m 6 bits for each 32 numbers
//   Q5_K   [256]  d * s * q - dmin * m       q 5 bits; the same
//   Q6_K   [256]  d * s * (q - 32)           q 6 bits; s int8 for each 16 numbers
//   IQ4_XS [256]  d * s * kIQ4Values[q]      q 4 bits; s 6 bits, -32 ... 31, for each 32 numbers
// and, not GGUF's, with d fp32:
//   INT4   [32]   d * (q - z)                q 4 bits as in Q4_0; z int8
//   INT8   [32]   d * q                      q int8
//   FP8    [32]   d * q                      q E4M3: no whole numbers, so no QuantBlock
// Where the bits stand is in block_codes.h. Layout: https://github.com/ggml-org/ggml/blob/master/src/ggml-common.h.
#pragma once

#include <cstdint>

#include "compute/tensor/dtype.h"

namespace strata {

inline constexpr int8_t kIQ4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
inline constexpr int8_t kFP4Values[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

// Numbers that share a scale (and a minimum).
constexpr int scale_group(DType type) {
  return type == DType::kQ2_K || type == DType::kQ3_K || type == DType::kQ6_K ? 16 : 32;
}

enum class Minima : uint8_t {
  kNone,
  kWhole,  // dmin times a whole number for each group
  kPlain,  // an fp16 for each block of 32
};
constexpr Minima minima_of(DType type) {
  if (type == DType::kQ4_1 || type == DType::kQ5_1) return Minima::kPlain;
  return type == DType::kQ2_K || type == DType::kQ4_K || type == DType::kQ5_K ? Minima::kWhole : Minima::kNone;
}

// The whole number that a code stands for.
constexpr int8_t code_value(DType type, uint8_t code) {
  switch (type) {
    case DType::kIQ4_NL:
    case DType::kIQ4_XS:
      return kIQ4Values[code];
    case DType::kMXFP4:
      return kFP4Values[code];
    case DType::kQ8_0:
      return static_cast<int8_t>(code);
    case DType::kQ4_0:
      return static_cast<int8_t>(code - 8);
    case DType::kQ5_0:
      return static_cast<int8_t>(code - 16);
    case DType::kQ3_K:
      return static_cast<int8_t>(code - 4);
    case DType::kQ6_K:
      return static_cast<int8_t>(code - 32);
    default:
      return static_cast<int8_t>(code);
  }
}

// One block in whole numbers, the same for every type: number i is
//   d * scale[i / group] * q[i] - dmin * min[i / group].
struct QuantBlock {
  int elements;  // 32 or 256
  int group;     // scale_group()
  float d;       // 1 for blocks of 32, whose factor is scale[0]
  float dmin;    // 0 for Minima::kNone; -1 for kPlain, whose fp16 is min[0]
  float scale[16];
  float min[16];  // 0 for kNone
  int8_t q[256];
};

// `type`: any block format with whole numbers (has_whole_numbers); `block` need not be aligned, and any bytes are a
// block.
void decode_block(DType type, const void* block, QuantBlock& out);
// out[elements]: each product and difference rounds once, in the order (d * scale) * q - (dmin * min).
void dequantize_block(const QuantBlock& block, Minima minima, float* out);

// The rows of F32, F16, BF16 and every block format. k is a multiple of block_elements; src, dst of quantized rows need
// not be aligned.
bool can_convert(DType type);
void dequantize_row(DType type, const void* src, float* dst, int64_t k);
// The blocks nearest to src: Q8_0 and, without importance, Q4_0 Q4_1 Q5_0 Q5_1 by the largest magnitude, as everywhere;
// the others by a search over scales that makes the weighted square error small. importance[k], not negative: how much
// the columns matter (the mean square of what they are multiplied with); null: all the same. Numbers that are not
// finite become finite. Not for INT4, INT8 and FP8, which others make.
void quantize_row(DType type, const float* src, void* dst, int64_t k, const float* importance = nullptr);

}  // namespace strata
