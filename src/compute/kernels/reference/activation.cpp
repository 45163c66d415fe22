#include "compute/kernels/activation.h"

#include <cmath>
#include <cstring>

#include "compute/kernels/reference/matmul.h"
#include "compute/tensor/half.h"

namespace strata::reference {
namespace {

// One block of kActQ8 or kActQ8x32 (activation.h).
void quantize(const ActivationBlock& to, const float* x, int64_t block) {
  float largest = 0;
  bool finite = true;
  for (int64_t i = 0; i < block; ++i) {
    if (!std::isfinite(x[i])) finite = false;
    if (std::fabs(x[i]) > largest) largest = std::fabs(x[i]);
  }
  const bool scaled = finite && largest >= kSmallestScaled;
  *to.scale = scaled ? largest / 127.0f : finite ? 0.0f : std::nanf("");
  const float inverse = scaled ? 127.0f / largest : 0.0f;
  int sum[16] = {};
  for (int64_t i = 0; i < block; ++i) {
    const int a = scaled ? static_cast<int>(std::nearbyint(x[i] * inverse)) : 0;
    to.value[i] = static_cast<int8_t>(a);
    sum[i / 16] += a;
  }
  for (int64_t i = 0; i < block / 32; ++i) store_sums(to, i, sum[2 * i], sum[2 * i + 1]);
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
    int8_t* row = static_cast<int8_t*>(dst) + i * stride;
    for (int64_t b = 0; b < k; b += block) quantize(activation_block(row, k, block, b), x + i * k + b, block);
  }
}

}  // namespace strata::reference
