// Packed weights of the CPU tables: groups of 16 rows whose lanes run together, in the bytes of the file plus at most 3
// %.
//
// A matrix [n, k] is ceil(n / 16) groups; a group is ceil(k / kSpan) structs, K ascending, each with numbers
// [kSpan * i, kSpan * (i + 1)) of 16 rows (lanes). Two groups, a panel, stand together struct by struct: (group 0,
// struct 0), (group 1, struct 0), (group 0, struct 1) ..., so that a product reads memory in order; a last group
// without neighbour stands alone. Lanes beyond n are zero bytes. The structs of quantized weights are in
// packed_blocks.h.
//
// Layout names ("q8_0.2x16x4.1") change when a struct does: packed weights are cached under them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "compute/tensor/dtype.h"

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

struct PackedFP8 {
  static constexpr DType kWeight = DType::kFP8;
  static constexpr int kSpan = 32;
  static constexpr std::string_view kName = "fp8.2x16.1";
  uint8_t q[32][16];
  float d[16];
};

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

// The three functions of MatmulFamily; defined in packed_weights.cpp for the structs above, in packed_blocks.cpp for
// those of packed_blocks.h.
template <class Packed>
size_t packed_weight_bytes(int64_t n, int64_t k);
template <class Packed>
void pack_weights(void* packed, const void* const* rows, int64_t n, int64_t k, int64_t row_begin, int64_t row_end);
template <class Packed>
void unpack_weights(float* out, const void* packed, int64_t n, int64_t k, int64_t row_begin, int64_t row_end,
                    int64_t k_begin, int64_t k_end);

}  // namespace strata
