// The packed structs of quantized weights (packed_weights.h).
//
// Codes (compute/tensor/block_codes.h) stand four consecutive k per lane, 64 bytes a vector: word (lane) of vector v of
// a block of 32 is k = 4 v ... 4 v + 3, the operand of vpdpbusd. What is narrower than a byte shares it with other
// vectors:
//   nibbles   [4][64] for 32 numbers   vector v (0-3) has vector v in its low and vector v + 4 in its high bits
//   pairs     [4][64] for 64 numbers   bits 2 j of vector v belong to vector 4 j + v: each j is a group of 16 numbers
//   nibbles of two groups   [8][64] for 64 numbers   vector v has that of the first 32 in its low, of the others in its
//                     high bits: masked, the high ones are codes times 16, and no bit need be moved
//   bits      [64]    for 32 numbers   bit v belongs to vector v
#pragma once

#include "compute/kernels/packed_weights.h"
#include "compute/tensor/quant_blocks.h"

namespace strata {

// kBlocks: blocks of 32 that share a scale of the activation: 8, or 1 for kActQ8x32.
template <int kBlocks>
struct PackedQ8_0 {
  static constexpr DType kWeight = DType::kQ8_0;
  static constexpr int kSpan = 32 * kBlocks;
  static constexpr std::string_view kName = kBlocks == 8 ? "q8_0.2x16x4.2" : "q8_0.2x16x4.x32.2";
  uint8_t q[kBlocks][8][64];  // + 128
  uint16_t d[kBlocks][16];
};

template <int kBlocks>
struct PackedQ4_0 {
  static constexpr DType kWeight = DType::kQ4_0;
  static constexpr int kSpan = 32 * kBlocks;
  static constexpr std::string_view kName = kBlocks == 8 ? "q4_0.2x16x4.1" : "q4_0.2x16x4.x32.1";
  uint8_t low[kBlocks][4][64];  // nibbles
  uint16_t d[kBlocks][16];
};

template <int kBlocks>
struct PackedQ4_1 {
  static constexpr DType kWeight = DType::kQ4_1;
  static constexpr int kSpan = 32 * kBlocks;
  static constexpr std::string_view kName = kBlocks == 8 ? "q4_1.2x16x4.1" : "q4_1.2x16x4.x32.1";
  uint8_t low[kBlocks][4][64];  // nibbles
  uint16_t d[kBlocks][16];
  uint16_t m[kBlocks][16];
};

template <int kBlocks>
struct PackedQ5_0 {
  static constexpr DType kWeight = DType::kQ5_0;
  static constexpr int kSpan = 32 * kBlocks;
  static constexpr std::string_view kName = kBlocks == 8 ? "q5_0.2x16x4.1" : "q5_0.2x16x4.x32.1";
  uint8_t low[kBlocks][4][64];  // nibbles
  uint8_t high[kBlocks][64];    // bits
  uint16_t d[kBlocks][16];
};

template <int kBlocks>
struct PackedQ5_1 {
  static constexpr DType kWeight = DType::kQ5_1;
  static constexpr int kSpan = 32 * kBlocks;
  static constexpr std::string_view kName = kBlocks == 8 ? "q5_1.2x16x4.1" : "q5_1.2x16x4.x32.1";
  uint8_t low[kBlocks][4][64];  // nibbles
  uint8_t high[kBlocks][64];    // bits
  uint16_t d[kBlocks][16];
  uint16_t m[kBlocks][16];
};

template <int kBlocks>
struct PackedIQ4_NL {
  static constexpr DType kWeight = DType::kIQ4_NL;
  static constexpr int kSpan = 32 * kBlocks;
  static constexpr std::string_view kName = kBlocks == 8 ? "iq4_nl.2x16x4.1" : "iq4_nl.2x16x4.x32.1";
  uint8_t low[kBlocks][4][64];  // nibbles
  uint16_t d[kBlocks][16];
};

template <int kBlocks>
struct PackedMXFP4 {
  static constexpr DType kWeight = DType::kMXFP4;
  static constexpr int kSpan = 32 * kBlocks;
  static constexpr std::string_view kName = kBlocks == 8 ? "mxfp4.2x16x4.1" : "mxfp4.2x16x4.x32.1";
  uint8_t low[kBlocks][4][64];  // nibbles
  uint8_t e[kBlocks][16];
};

template <int kBlocks>
struct PackedInt4 {
  static constexpr DType kWeight = DType::kInt4;
  static constexpr int kSpan = 32 * kBlocks;
  static constexpr std::string_view kName = kBlocks == 8 ? "int4.2x16x4.1" : "int4.2x16x4.x32.1";
  uint8_t low[kBlocks][4][64];  // nibbles
  float d[kBlocks][16];
  int8_t zero[kBlocks][16];
};

template <int kBlocks>
struct PackedInt8 {
  static constexpr DType kWeight = DType::kInt8;
  static constexpr int kSpan = 32 * kBlocks;
  static constexpr std::string_view kName = kBlocks == 8 ? "int8.2x16x4.2" : "int8.2x16x4.x32.2";
  uint8_t q[kBlocks][8][64];  // + 128
  float d[kBlocks][16];
};

struct PackedQ2_K {
  static constexpr DType kWeight = DType::kQ2_K;
  static constexpr int kSpan = 256;
  static constexpr std::string_view kName = "q2_k.2x16x4.1";
  uint8_t low[4][4][64];  // pairs
  uint16_t d[16];
  uint16_t dmin[16];
  uint8_t scale[8][16][2];  // of groups 2 i and 2 i + 1 side by side: low bits the scale, high bits the minimum
};

struct PackedQ3_K {
  static constexpr DType kWeight = DType::kQ3_K;
  static constexpr int kSpan = 256;
  static constexpr std::string_view kName = "q3_k.2x16x4.1";
  uint8_t low[4][4][64];      // pairs
  uint8_t high[8][64];        // bits
  uint8_t scale_low[8][16];   // scale + 32: low four bits of groups 2 i (low) and 2 i + 1
  uint8_t scale_high[4][16];  // its upper two bits, of groups 4 i (lowest) ... 4 i + 3
  uint16_t d[16];
  uint16_t unused[16];  // to a multiple of 64 bytes
};

struct PackedQ4_K {
  static constexpr DType kWeight = DType::kQ4_K;
  static constexpr int kSpan = 256;
  static constexpr std::string_view kName = "q4_k.2x16x4.3";
  uint8_t low[4][8][64];  // nibbles of two groups
  uint16_t d[16];
  uint16_t dmin[16];
  uint8_t scale[4][16][2];  // of groups 2 i and 2 i + 1 side by side
  uint8_t min[4][16][2];
};

struct PackedQ5_K {
  static constexpr DType kWeight = DType::kQ5_K;
  static constexpr int kSpan = 256;
  static constexpr std::string_view kName = "q5_k.2x16x4.2";
  uint8_t low[8][4][64];  // nibbles
  uint8_t high[8][64];    // bits
  uint16_t d[16];
  uint16_t dmin[16];
  uint8_t scale[4][16][2];  // as in Q4_K
  uint8_t min[4][16][2];
};

struct PackedQ6_K {
  static constexpr DType kWeight = DType::kQ6_K;
  static constexpr int kSpan = 256;
  static constexpr std::string_view kName = "q6_k.2x16x4.2";
  uint8_t low[8][4][64];   // nibbles
  uint8_t high[4][4][64];  // pairs
  int8_t scale[8][16][2];  // of groups 2 i and 2 i + 1 side by side
  uint16_t d[16];
  uint16_t unused[16];  // to a multiple of 64 bytes
};

struct PackedIQ4_XS {
  static constexpr DType kWeight = DType::kIQ4_XS;
  static constexpr int kSpan = 256;
  static constexpr std::string_view kName = "iq4_xs.2x16x4.1";
  uint8_t low[8][4][64];  // nibbles
  int8_t scale[8][16];
  uint16_t d[16];
  uint16_t unused[16];  // to a multiple of 64 bytes
};

// The bytes of the file and a few more, in whole cache lines.
template <class Packed, int kFileBytes, int kMore>
constexpr bool takes = sizeof(Packed) == 16 * kFileBytes + kMore && sizeof(Packed) % 64 == 0;
static_assert(takes<PackedQ8_0<8>, 8 * 34, 0> && takes<PackedQ4_0<8>, 8 * 18, 0> && takes<PackedQ4_1<8>, 8 * 20, 0> &&
              takes<PackedQ5_0<8>, 8 * 22, 0> && takes<PackedQ5_1<8>, 8 * 24, 0> && takes<PackedIQ4_NL<8>, 8 * 18, 0> &&
              takes<PackedMXFP4<8>, 8 * 17, 0> && takes<PackedInt4<8>, 8 * 21, 0> && takes<PackedInt8<8>, 8 * 36, 0>);
static_assert(takes<PackedQ2_K, 84, 0> && takes<PackedQ3_K, 110, 32> && takes<PackedQ4_K, 144, 64> &&
              takes<PackedQ5_K, 176, 64> && takes<PackedQ6_K, 210, 32> && takes<PackedIQ4_XS, 136, 64>);

// Lane `lane` of a struct in whole numbers; elements = kSpan.
template <class Packed>
void decode_lane(const Packed& packed, int lane, QuantBlock& out);

}  // namespace strata
