#include "compute/kernels/activation.h"

#include <cmath>
#include <cstring>

#include "compute/kernels/reference/matmul.h"
#include "compute/tensor/half.h"

namespace strata::reference {
namespace {

// One row of kActQ8 or kActQ8x32 (activation.h).
void quantize(uint8_t* value, float* scale, int16_t* sum, const float* x, int64_t k, int64_t block) {
  for (int64_t b = 0; b < k / block; ++b) {
    float largest = 0;
    bool finite = true;
    for (int64_t i = b * block; i < (b + 1) * block; ++i) {
      if (!std::isfinite(x[i])) finite = false;
      if (std::fabs(x[i]) > largest) largest = std::fabs(x[i]);
    }
    const bool scaled = finite && largest >= kSmallestScaled;
    scale[b] = scaled ? largest / 127.0f : finite ? 0.0f : std::nanf("");
    const float inverse = scaled ? 127.0f / largest : 0.0f;
    for (int64_t i = b * block; i < (b + 1) * block; ++i) {
      const int a = scaled ? static_cast<int>(std::nearbyint(x[i] * inverse)) : 0;
      value[i] = static_cast<uint8_t>(a + 128);
      if (i % 16 == 0) sum[i / 16] = 0;
      sum[i / 16] = static_cast<int16_t>(sum[i / 16] + a);
    }
  }
}

}  // namespace

void to_activation(DType type, void* dst, const float* x, int64_t rows, int64_t k) {
  if (type == DType::kActBF16) {
    for (int64_t i = 0; i < rows * k; ++i) {
      const uint16_t bits = float_to_bfloat16(x[i]);
      std::memcpy(static_cast<uint8_t*>(dst) + 2 * i, &bits, 2);
    }
    return;
  }
  const int64_t block = traits(type).block_elements, stride = static_cast<int64_t>(row_bytes(type, k));
  for (int64_t i = 0; i < rows; ++i) {
    uint8_t* row = static_cast<uint8_t*>(dst) + i * stride;
    auto* scale = reinterpret_cast<float*>(row + k);
    quantize(row, scale, reinterpret_cast<int16_t*>(scale + k / block), x + i * k, k, block);
  }
}

}  // namespace strata::reference
