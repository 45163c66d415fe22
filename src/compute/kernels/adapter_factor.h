// A factor of a low-rank adapter (LoRA) in the layout that lora_down and lora_up read: memory is read once, from front to
// back, however few rows of it a piece of work needs.
#pragma once

#include <cstddef>
#include <cstdint>

#include "compute/kernels/cpu/inlining.h"
#include "compute/tensor/dtype.h"

namespace strata {

inline constexpr int64_t kAdapterColumns = 64;  // of a block
inline constexpr int64_t kAdapterRows = 4;      // of a group of the first factor

// [rank, width] in groups of `group` rows, the last with the rest; in a group block after block of kAdapterColumns
// columns; in a block row after row, zeros beyond width. Types kF32 and kBF16: numbers. Type kI8: codes, and after the
// rows of a block an fp32 scale for each: number = scale * code, code = round(number / scale), scale = largest |number| / 127.
struct AdapterFactor {
  DType type = DType::kF32;
  const std::byte* data = nullptr;
  int64_t rank = 0;
  int64_t width = 0;
  int64_t group = 0;
};

// Of this unit alone, as units of an instruction set include it.
STRATA_INLINE int64_t blocks_of(const AdapterFactor& f) { return (f.width + kAdapterColumns - 1) / kAdapterColumns; }
// Of the group whose first row is `first`.
STRATA_INLINE int64_t rows_of_group(const AdapterFactor& f, int64_t first) {
  return first + f.group < f.rank ? f.group : f.rank - first;
}
// Bytes of a row of a block, its scale included.
STRATA_INLINE int64_t block_row_bytes(const AdapterFactor& f) {
  return f.type == DType::kI8 ? kAdapterColumns + 4 : kAdapterColumns * (f.type == DType::kBF16 ? 2 : 4);
}
// Where a block of the group whose first row is `first` begins, in bytes.
STRATA_INLINE int64_t block_offset(const AdapterFactor& f, int64_t first, int64_t block) {
  return (first * blocks_of(f) + block * rows_of_group(f, first)) * block_row_bytes(f);
}
STRATA_INLINE size_t factor_bytes(const AdapterFactor& f) {
  return static_cast<size_t>(f.rank * blocks_of(f) * block_row_bytes(f));
}

// numbers [rank, width] -> factor_bytes() at `out`, where factor.data will point.
void pack_adapter_factor(const AdapterFactor& factor, const float* numbers, std::byte* out);

}  // namespace strata
