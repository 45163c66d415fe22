// Packed weights of the CPU tables: groups of 16 rows whose lanes run together, in the bytes of the file plus at most 3 %.
//
// A matrix [n, k] is ceil(n / 16) groups; a group is ceil(k / kSpan) structs, K ascending, each with numbers
// [kSpan * i, kSpan * (i + 1)) of 16 rows (lanes). Two groups, a panel, stand together struct by struct: (group 0,
// struct 0), (group 1, struct 0), (group 0, struct 1) ..., so that a product reads memory in order; a last group without
// neighbour stands alone. Lanes beyond n are zero bytes. Quantized numbers stand four consecutive k per lane, 64 bytes a
// vector: word (lane) of vector v of a block of 32 is k = 4 v ... 4 v + 3, the operand of vpdpbusd. A vector of nibbles
// v (0-3) holds vector v in its low and vector v + 4 in its high bits.
//
// Layout names ("q8_0.2x16x4.1") change when a struct does: packed weights are cached under them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "compute/tensor/dtype.h"
#include "compute/tensor/quant_blocks.h"

namespace strata {

struct PackedF32 {
  static constexpr DType kWeight = DType::kF32;
  static constexpr int kSpan = 1;
  static constexpr std::string_view kName = "f32.2x16.1";
  float w[16];
};

struct PackedF16 {
  static constexpr DType kWeight = DType::kF16;
  static constexpr int kSpan = 1;
  static constexpr std::string_view kName = "f16.2x16.1";
  uint16_t w[16];
};

struct PackedBF16 {
  static constexpr DType kWeight = DType::kBF16;
  static constexpr int kSpan = 2;  // a last k without partner stands beside a zero
  static constexpr std::string_view kName = "bf16.2x16x2.1";
  uint16_t w[16][2];
};

// kBlocks: blocks of 32 that share a scale of the activation: 8, or 1 for kActQ8x32.
template <int kBlocks>
struct PackedQ8_0 {
  static constexpr DType kWeight = DType::kQ8_0;
  static constexpr int kSpan = 32 * kBlocks;
  static constexpr std::string_view kName = kBlocks == 8 ? "q8_0.2x16x4.1" : "q8_0.2x16x4.x32.1";
  int8_t q[kBlocks][8][64];
  uint16_t d[kBlocks][16];
};

template <int kBlocks>
struct PackedQ4_0 {
  static constexpr DType kWeight = DType::kQ4_0;
  static constexpr int kSpan = 32 * kBlocks;
  static constexpr std::string_view kName = kBlocks == 8 ? "q4_0.2x16x4.1" : "q4_0.2x16x4.x32.1";
  uint8_t q[kBlocks][4][64];
  uint16_t d[kBlocks][16];
};

struct PackedQ4_K {
  static constexpr DType kWeight = DType::kQ4_K;
  static constexpr int kSpan = 256;
  static constexpr std::string_view kName = "q4_k.2x16x4.1";
  uint8_t q[8][4][64];
  uint16_t d[16];
  uint16_t dmin[16];
  uint8_t scale[8][16];
  uint8_t min[4][16][2];  // of blocks 2 i and 2 i + 1 side by side
};

struct PackedQ6_K {
  static constexpr DType kWeight = DType::kQ6_K;
  static constexpr int kSpan = 256;
  static constexpr std::string_view kName = "q6_k.2x16x4.1";
  uint8_t low[8][4][64];   // lower four bits; low nibbles are the first 16 numbers of a block of 32
  uint8_t high[4][4][64];  // upper two bits: of each 64 numbers, bits 2 j of vector v belong to vector 4 j + v
  int8_t scale[16][16];
  uint16_t d[16];
  uint16_t unused[16];     // to a multiple of 64 bytes
};

static_assert(sizeof(PackedQ8_0<8>) == 16 * 8 * sizeof(BlockQ8_0) && sizeof(PackedQ8_0<8>) % 64 == 0);
static_assert(sizeof(PackedQ4_0<8>) == 16 * 8 * sizeof(BlockQ4_0) && sizeof(PackedQ4_0<8>) % 64 == 0);
static_assert(sizeof(PackedQ4_K) == 16 * sizeof(BlockQ4_K) + 64 && sizeof(PackedQ4_K) % 64 == 0);
static_assert(sizeof(PackedQ6_K) == 16 * sizeof(BlockQ6_K) + 32 && sizeof(PackedQ6_K) % 64 == 0);

inline constexpr int kGroupRows = 16;

// Structs of one group.
template <class Packed>
static inline int64_t group_structs(int64_t k) {
  return (k + Packed::kSpan - 1) / Packed::kSpan;
}

// Where a panel stands: struct i of its group c is at(i, c). A group alone is its own neighbour.
template <class Packed>
struct PackedPanel {
  const Packed* first;
  int64_t width;  // groups: 2 or 1
};
template <class Packed>
static inline PackedPanel<Packed> packed_panel(const void* packed, int64_t panel, int64_t n, int64_t k) {
  const int64_t groups = (n + kGroupRows - 1) / kGroupRows;
  return {static_cast<const Packed*>(packed) + 2 * panel * group_structs<Packed>(k), groups - 2 * panel > 1 ? 2 : 1};
}

// The three functions of MatmulFamily; defined in packed_weights.cpp for every struct above.
template <class Packed>
size_t packed_weight_bytes(int64_t n, int64_t k);
template <class Packed>
void pack_weights(void* packed, const void* const* rows, int64_t n, int64_t k, int64_t row_begin, int64_t row_end);
template <class Packed>
void unpack_weights(float* out, const void* packed, int64_t n, int64_t k, int64_t row_begin, int64_t row_end,
                    int64_t k_begin, int64_t k_end);

// Lane `lane` of a struct in whole numbers; elements = kSpan. Defined for the quantized structs.
template <class Packed>
void decode_lane(const Packed& packed, int lane, QuantBlock& out);

}  // namespace strata
