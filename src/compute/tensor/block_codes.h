// Where the bits of GGUF's quantized blocks stand. The bytes are little-endian; blocks are read and written with
// memcpy, so they need no alignment.
//
// read_codes gives the code of every number of a block, one byte each, in the order of the row; write_codes sets them.
// read_scales gives the scale of every group (offsets taken off) and, for types that have them, its minimum.
#pragma once

#include <cstdint>
#include <cstring>

#include "compute/tensor/dtype.h"

namespace strata {

struct BlockQ8_0 {
  static constexpr DType kType = DType::kQ8_0;
  uint16_t d;
  int8_t q[32];
};
struct BlockQ4_0 {
  static constexpr DType kType = DType::kQ4_0;
  uint16_t d;
  uint8_t q[16];
};
struct BlockQ4_1 {
  static constexpr DType kType = DType::kQ4_1;
  uint16_t d;
  uint16_t m;
  uint8_t q[16];
};
struct BlockQ5_0 {
  static constexpr DType kType = DType::kQ5_0;
  uint16_t d;
  uint8_t high[4];
  uint8_t q[16];
};
struct BlockQ5_1 {
  static constexpr DType kType = DType::kQ5_1;
  uint16_t d;
  uint16_t m;
  uint8_t high[4];
  uint8_t q[16];
};
struct BlockIQ4_NL {
  static constexpr DType kType = DType::kIQ4_NL;
  uint16_t d;
  uint8_t q[16];
};
struct BlockMXFP4 {
  static constexpr DType kType = DType::kMXFP4;
  uint8_t e;
  uint8_t q[16];
};
struct BlockInt4 {
  static constexpr DType kType = DType::kInt4;
  uint8_t d[4];  // fp32
  int8_t zero;
  uint8_t q[16];
};
struct BlockInt8 {
  static constexpr DType kType = DType::kInt8;
  uint8_t d[4];  // fp32
  int8_t q[32];
};
struct BlockFP8 {
  static constexpr DType kType = DType::kFP8;
  uint8_t d[4];  // fp32
  uint8_t q[32];
};
struct BlockQ2_K {
  static constexpr DType kType = DType::kQ2_K;
  uint8_t scales[16];  // low bits the scale, high bits the minimum
  uint8_t q[64];       // for each 128 numbers 32 bytes: two bits each of numbers i, i + 32, i + 64, i + 96
  uint16_t d;
  uint16_t dmin;
};
struct BlockQ3_K {
  static constexpr DType kType = DType::kQ3_K;
  uint8_t high[32];    // the third bit of number 32 j + i is bit j of byte i
  uint8_t low[64];     // as in Q2_K
  uint8_t scales[12];  // bytes 0-7: low four bits of scales 0-7 and 8-15; 8-11: high bits of scales i, i + 4, i + 8 ...
  uint16_t d;
};
struct BlockQ4_K {
  static constexpr DType kType = DType::kQ4_K;
  uint16_t d;
  uint16_t dmin;
  uint8_t scales[12];  // eight pairs (s, m) of 6 bits: read_scales
  uint8_t q[128];      // 32 bytes for each 64 numbers: low bits the first 32, high bits the second 32
};
struct BlockQ5_K {
  static constexpr DType kType = DType::kQ5_K;
  uint16_t d;
  uint16_t dmin;
  uint8_t scales[12];  // as in Q4_K
  uint8_t high[32];    // the fifth bit of number 32 j + i is bit j of byte i
  uint8_t q[128];      // as in Q4_K
};
struct BlockQ6_K {
  static constexpr DType kType = DType::kQ6_K;
  uint8_t low[128];  // for each 128 numbers 64 bytes: low bits numbers 0-63, high bits numbers 64-127
  uint8_t high[64];  // as the bits of Q2_K
  int8_t scales[16];
  uint16_t d;
};
struct BlockIQ4_XS {
  static constexpr DType kType = DType::kIQ4_XS;
  uint16_t d;
  uint16_t scales_high;   // two bits each
  uint8_t scales_low[4];  // four bits each
  uint8_t q[128];         // 16 bytes for each 32 numbers, as in Q4_0
};
static_assert(sizeof(BlockQ8_0) == 34 && sizeof(BlockQ4_0) == 18 && sizeof(BlockQ4_1) == 20 &&
              sizeof(BlockQ5_0) == 22 && sizeof(BlockQ5_1) == 24 && sizeof(BlockIQ4_NL) == 18 &&
              sizeof(BlockMXFP4) == 17 && sizeof(BlockInt4) == 21 && sizeof(BlockInt8) == 36 && sizeof(BlockFP8) == 36);
static_assert(sizeof(BlockQ2_K) == 84 && sizeof(BlockQ3_K) == 110 && sizeof(BlockQ4_K) == 144 &&
              sizeof(BlockQ5_K) == 176 && sizeof(BlockQ6_K) == 210 && sizeof(BlockIQ4_XS) == 136);

template <class Block>
Block load_block(const void* src) {
  Block block;
  std::memcpy(&block, src, sizeof(block));
  return block;
}

// The factor of INT4, INT8 and FP8.
template <class Block>
float block_factor(const Block& block) {
  float d;
  std::memcpy(&d, block.d, sizeof(d));
  return d;
}

void read_codes(const BlockInt4& block, uint8_t code[32]);
void read_codes(const BlockQ4_0& block, uint8_t code[32]);
void read_codes(const BlockQ4_1& block, uint8_t code[32]);
void read_codes(const BlockQ5_0& block, uint8_t code[32]);
void read_codes(const BlockQ5_1& block, uint8_t code[32]);
void read_codes(const BlockIQ4_NL& block, uint8_t code[32]);
void read_codes(const BlockMXFP4& block, uint8_t code[32]);
void read_codes(const BlockQ2_K& block, uint8_t code[256]);
void read_codes(const BlockQ3_K& block, uint8_t code[256]);
void read_codes(const BlockQ4_K& block, uint8_t code[256]);
void read_codes(const BlockQ5_K& block, uint8_t code[256]);
void read_codes(const BlockQ6_K& block, uint8_t code[256]);
void read_codes(const BlockIQ4_XS& block, uint8_t code[256]);

void write_codes(BlockInt4& block, const uint8_t code[32]);
void write_codes(BlockQ4_0& block, const uint8_t code[32]);
void write_codes(BlockQ4_1& block, const uint8_t code[32]);
void write_codes(BlockQ5_0& block, const uint8_t code[32]);
void write_codes(BlockQ5_1& block, const uint8_t code[32]);
void write_codes(BlockIQ4_NL& block, const uint8_t code[32]);
void write_codes(BlockMXFP4& block, const uint8_t code[32]);
void write_codes(BlockQ2_K& block, const uint8_t code[256]);
void write_codes(BlockQ3_K& block, const uint8_t code[256]);
void write_codes(BlockQ4_K& block, const uint8_t code[256]);
void write_codes(BlockQ5_K& block, const uint8_t code[256]);
void write_codes(BlockQ6_K& block, const uint8_t code[256]);
void write_codes(BlockIQ4_XS& block, const uint8_t code[256]);

// The scales and minima of the groups of a block of 256; min is set only for types that have minima.
struct GroupScales {
  int8_t scale[16];
  uint8_t min[16];
};
void read_scales(const BlockQ2_K& block, GroupScales& out);
void read_scales(const BlockQ3_K& block, GroupScales& out);
void read_scales(const BlockQ4_K& block, GroupScales& out);
void read_scales(const BlockQ5_K& block, GroupScales& out);
void read_scales(const BlockQ6_K& block, GroupScales& out);
void read_scales(const BlockIQ4_XS& block, GroupScales& out);

void write_scales(BlockQ2_K& block, const GroupScales& scales);
void write_scales(BlockQ3_K& block, const GroupScales& scales);
void write_scales(BlockQ4_K& block, const GroupScales& scales);
void write_scales(BlockQ5_K& block, const GroupScales& scales);
void write_scales(BlockQ6_K& block, const GroupScales& scales);
void write_scales(BlockIQ4_XS& block, const GroupScales& scales);

}  // namespace strata
