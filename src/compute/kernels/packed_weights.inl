// The functions of packed_weights.h, in terms of two for each struct, to be defined before this is included:
//   pack_lane(packed, lane, src, left)       src: the source row's first number of the struct, of which `left` are left
//   unpack_lane(packed, lane, n, out)        the first n numbers of the struct, fp32
#pragma once

#include <algorithm>
#include <cstring>

#include "compute/kernels/packed_weights.h"

namespace strata {

template <class Packed>
size_t packed_weight_bytes(int64_t n, int64_t k) {
  const int64_t groups = (n + kGroupRows - 1) / kGroupRows;
  return (static_cast<size_t>(groups * group_structs<Packed>(k)) * sizeof(Packed) + 63) / 64 * 64;
}

template <class Packed>
void pack_weights(void* packed, const void* const* rows, int64_t n, int64_t k, int64_t row_begin, int64_t row_end) {
  const int64_t structs = group_structs<Packed>(k);
  const size_t struct_bytes = row_bytes(Packed::kWeight, Packed::kSpan);  // of one row of the source
  for (int64_t group = row_begin / kGroupRows; group * kGroupRows < row_end; ++group) {
    const PackedPanel<Packed> panel = packed_panel<Packed>(packed, group / 2, n, k);
    Packed* to = const_cast<Packed*>(panel.first) + group % 2;
    const int lanes = static_cast<int>(std::min<int64_t>(kGroupRows, n - group * kGroupRows));
    for (int64_t i = 0; i < structs; ++i, to += panel.width) {
      std::memset(static_cast<void*>(to), 0, sizeof(Packed));
      for (int lane = 0; lane < lanes; ++lane) {
        const auto* row = static_cast<const uint8_t*>(rows[group * kGroupRows + lane]);
        pack_lane(*to, lane, row + static_cast<size_t>(i) * struct_bytes, k - i * Packed::kSpan);
      }
    }
  }
}

template <class Packed>
void unpack_weights(float* out, const void* packed, int64_t n, int64_t k, int64_t row_begin, int64_t row_end,
                    int64_t k_begin, int64_t k_end) {
  for (int64_t row = row_begin; row < row_end; ++row) {
    const int64_t group = row / kGroupRows;
    const PackedPanel<Packed> panel = packed_panel<Packed>(packed, group / 2, n, k);
    const int lane = static_cast<int>(row % kGroupRows);
    for (int64_t i = k_begin; i < k_end; i += Packed::kSpan) {
      const int numbers = static_cast<int>(std::min<int64_t>(Packed::kSpan, k_end - i));
      unpack_lane(panel.first[i / Packed::kSpan * panel.width + group % 2], lane, numbers, out);
      out += numbers;
    }
  }
}

#define STRATA_PACKED(Packed)                                                                        \
  template size_t packed_weight_bytes<Packed>(int64_t, int64_t);                                     \
  template void pack_weights<Packed>(void*, const void* const*, int64_t, int64_t, int64_t, int64_t); \
  template void unpack_weights<Packed>(float*, const void*, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t)

}  // namespace strata
