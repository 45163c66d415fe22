#include "compute/kernels/adapter_factor.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "compute/tensor/half.h"

namespace strata {
namespace {

// kAdapterColumns numbers as codes; gives their scale.
float encode(const float* numbers, int8_t* codes) {
  float largest = 0;
  for (int64_t i = 0; i < kAdapterColumns; ++i) largest = std::max(largest, std::abs(numbers[i]));
  const float scale = largest / 127;
  for (int64_t i = 0; i < kAdapterColumns; ++i)
    codes[i] = scale > 0 ? static_cast<int8_t>(std::lrintf(numbers[i] / scale)) : int8_t{0};
  return scale;
}

}  // namespace

void pack_adapter_factor(const AdapterFactor& factor, const float* numbers, std::byte* out) {
  const size_t numbers_bytes = factor.type == DType::kI8 ? kAdapterColumns : static_cast<size_t>(block_row_bytes(factor));
  for (int64_t first = 0; first < factor.rank; first += factor.group) {
    const int64_t rows = rows_of_group(factor, first);
    for (int64_t block = 0; block < blocks_of(factor); ++block) {
      std::byte* to = out + block_offset(factor, first, block);
      for (int64_t row = 0; row < rows; ++row) {
        float values[kAdapterColumns] = {};
        const int64_t begin = block * kAdapterColumns;
        std::copy_n(numbers + (first + row) * factor.width + begin,
                    std::min(kAdapterColumns, factor.width - begin), values);
        std::byte* at = to + static_cast<size_t>(row) * numbers_bytes;
        if (factor.type == DType::kF32) {
          std::memcpy(at, values, sizeof(values));
          continue;
        }
        if (factor.type == DType::kBF16) {
          uint16_t rounded[kAdapterColumns];
          std::transform(values, values + kAdapterColumns, rounded, float_to_bfloat16);
          std::memcpy(at, rounded, sizeof(rounded));
          continue;
        }
        const float scale = encode(values, reinterpret_cast<int8_t*>(at));
        std::memcpy(to + static_cast<size_t>(rows) * numbers_bytes + static_cast<size_t>(row) * sizeof(float), &scale,
                    sizeof(float));
      }
    }
  }
}

}  // namespace strata
