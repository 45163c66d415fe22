#include <cstring>

#include "compute/kernels/reference/ops.h"
#include "compute/tensor/half.h"

namespace strata::reference {
namespace {

double number(const AdapterFactor& f, int64_t row, int64_t column) {
  const int64_t first = row / f.group * f.group;
  const std::byte* block = f.data + block_offset(f, first, column / kAdapterColumns);
  const int64_t at = (row - first) * kAdapterColumns + column % kAdapterColumns;
  float value = 0;
  if (f.type == DType::kF32) {
    std::memcpy(&value, block + at * 4, sizeof(value));
    return value;
  }
  if (f.type == DType::kBF16) {
    uint16_t bits = 0;
    std::memcpy(&bits, block + at * 2, sizeof(bits));
    return bfloat16_to_float(bits);
  }
  std::memcpy(&value, block + rows_of_group(f, first) * kAdapterColumns + (row - first) * 4, sizeof(value));
  return static_cast<double>(value) * static_cast<double>(static_cast<int8_t>(block[at]));
}

}  // namespace

void lora_down(float* low, int64_t low_stride, const float* x, int64_t rows, const AdapterFactor& a, float scale,
               int64_t begin, int64_t end) {
  for (int64_t t = 0; t < rows; ++t) {
    for (int64_t r = begin; r < end; ++r) {
      double sum = 0;
      for (int64_t k = 0; k < a.width; ++k) sum += static_cast<double>(x[t * a.width + k]) * number(a, r, k);
      low[t * low_stride + r] = static_cast<float>(sum * scale);
    }
  }
}

void lora_up(float* y, const float* low, int64_t low_stride, int64_t rows, const AdapterFactor& b, int64_t begin,
             int64_t end) {
  for (int64_t t = 0; t < rows; ++t) {
    for (int64_t j = begin; j < end; ++j) {
      double sum = y[t * b.width + j];
      for (int64_t r = 0; r < b.rank; ++r) sum += static_cast<double>(low[t * low_stride + r]) * number(b, r, j);
      y[t * b.width + j] = static_cast<float>(sum);
    }
  }
}

}  // namespace strata::reference
