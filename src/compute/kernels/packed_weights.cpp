#include "compute/kernels/packed_weights.h"

#include <algorithm>
#include <cstring>

#include "compute/tensor/block_codes.h"
#include "compute/tensor/half.h"

namespace strata {
namespace {

void pack_lane(PackedFP8& packed, int lane, const uint8_t* src, int64_t) {
  const auto block = load_block<BlockFP8>(src);
  packed.d[lane] = block_factor(block);
  for (int i = 0; i < 32; ++i) packed.q[i][lane] = block.q[i];
}
template <class Packed>
void pack_lane(Packed& packed, int lane, const uint8_t* src, int64_t left) {
  constexpr size_t kLaneBytes = sizeof(Packed) / kGroupRows;
  if (left >= Packed::kSpan) {  // most of them, by one load and store
    std::memcpy(&packed.w[lane], src, kLaneBytes);
  } else {
    std::memcpy(&packed.w[lane], src, kLaneBytes / Packed::kSpan * static_cast<size_t>(left));
  }
}

void unpack_lane(const PackedF32& packed, int lane, int, float* out) { *out = packed.w[lane]; }
void unpack_lane(const PackedF16& packed, int lane, int, float* out) { *out = half_to_float(packed.w[lane]); }
void unpack_lane(const PackedBF16& packed, int lane, int n, float* out) {
  for (int i = 0; i < n; ++i) out[i] = bfloat16_to_float(packed.w[lane][i]);
}
void unpack_lane(const PackedFP8& packed, int lane, int n, float* out) {
  for (int i = 0; i < n; ++i) out[i] = packed.d[lane] * e4m3_to_float(packed.q[i][lane]);
}

}  // namespace
}  // namespace strata

#include "compute/kernels/packed_weights.inl"

namespace strata {

STRATA_PACKED(PackedF32);
STRATA_PACKED(PackedF16);
STRATA_PACKED(PackedBF16);
STRATA_PACKED(PackedFP8);

}  // namespace strata
