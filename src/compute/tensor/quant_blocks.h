// GGUF's quantized blocks: rows of weights to and from fp32.
//
// A row of k numbers is k / block_elements blocks, one after the other (dtype.h). Numbers of a block, with d, dmin fp16:
//   Q8_0  [32]   d * q                     q int8
//   Q4_0  [32]   d * (q - 8)               q 4 bits: byte i holds number i (low) and i + 16 (high)
//   Q4_K  [256]  d * s * q - dmin * m      q 4 bits; s, m 6 bits for each 32 numbers
//   Q6_K  [256]  d * s * (q - 32)          q 6 bits; s int8 for each 16 numbers
// Layout: https://github.com/ggml-org/ggml/blob/master/src/ggml-common.h. All little-endian.
#pragma once

#include <cstdint>

#include "compute/tensor/dtype.h"

namespace strata {

struct BlockQ8_0 {
  uint16_t d;
  int8_t q[32];
};
struct BlockQ4_0 {
  uint16_t d;
  uint8_t q[16];
};
struct BlockQ4_K {
  uint16_t d;
  uint16_t dmin;
  uint8_t scales[12];  // eight pairs (s, m) of 6 bits
  uint8_t q[128];      // 32 bytes for each 64 numbers: low bits the first 32, high bits the second 32
};
struct BlockQ6_K {
  uint8_t low[128];   // for each 128 numbers 64 bytes: low bits numbers 0-63, high bits numbers 64-127
  uint8_t high[64];   // for each 128 numbers 32 bytes: two bits each of numbers i, i + 32, i + 64, i + 96
  int8_t scales[16];
  uint16_t d;
};
static_assert(sizeof(BlockQ8_0) == 34 && sizeof(BlockQ4_0) == 18 && sizeof(BlockQ4_K) == 144 &&
              sizeof(BlockQ6_K) == 210);

// One block in whole numbers, the same for every type: number i is  d * scale[i / group] * q[i] - dmin * min[i / 32].
struct QuantBlock {
  int elements;      // 32 or 256
  int group;         // numbers that share a scale: 16 or 32
  float d;           // 1 for Q8_0 and Q4_0, whose fp16 factor is scale[0]
  float dmin;        // 0 where the type has no minima
  float scale[16];
  int16_t min[8];
  int8_t q[256];     // offsets (8, 32) taken off
};

// True for the types that decode_block, and the two functions below, know: Q8_0 Q4_0 Q4_K Q6_K.
bool has_quant_block(DType type);
// `block` need not be aligned.
void decode_block(DType type, const void* block, QuantBlock& out);
// The eight scales and minima, 6 bits each.
void decode_scales(const BlockQ4_K& block, uint8_t scale[8], uint8_t min[8]);
// out[elements]: each product and difference rounds once, in the order (d * scale) * q - (dmin * min).
void dequantize_block(const QuantBlock& block, bool has_minima, float* out);

// The rows of F32, F16, BF16 and the types above. k is a multiple of block_elements; src, dst of quantized rows need not
// be aligned.
bool can_convert(DType type);
void dequantize_row(DType type, const void* src, float* dst, int64_t k);
// The blocks nearest to src: Q8_0 and Q4_0 by the largest magnitude, as everywhere; Q4_K and Q6_K by a search over
// scales that makes the weighted square error small. Numbers that are not finite become finite.
void quantize_row(DType type, const float* src, void* dst, int64_t k);

}  // namespace strata
