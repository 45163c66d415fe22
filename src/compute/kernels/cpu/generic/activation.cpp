#include "compute/kernels/activation.h"

#include <bit>
#include <cmath>

#include "compute/kernels/cpu/generic/matmul.h"
#include "compute/tensor/half.h"

namespace strata::generic {
namespace {

constexpr uint32_t kInfinity = 0x7f800000;

// One block of a row of kActQ8 or kActQ8x32.
void quantize_block(const ActivationBlock& to, const float* x, int64_t n) {
  // As whole numbers the bits of magnitudes are ordered like the magnitudes, infinity and NaN above all.
  uint32_t bits = 0;
  for (int64_t i = 0; i < n; ++i) {
    const uint32_t magnitude = std::bit_cast<uint32_t>(x[i]) & 0x7fffffff;
    bits = magnitude > bits ? magnitude : bits;
  }
  const float largest = std::bit_cast<float>(bits);
  if (bits >= kInfinity || largest < kSmallestScaled) {
    for (int64_t i = 0; i < n; ++i) to.value[i] = 0;
    for (int64_t i = 0; i < n / 32; ++i) store_sums(to, i, 0, 0);
    *to.scale = bits < kInfinity ? 0.0f : std::nanf("");
    return;
  }
  const float inverse = 127.0f / largest;
  for (int64_t i = 0; i < n; i += 32) {
    int sum[2] = {0, 0};
    for (int64_t j = 0; j < 32; ++j) {
      // Adding 1.5 * 2^23 leaves the nearest whole number, ties to even, in the lowest bits.
      const int a = static_cast<int>(std::bit_cast<uint32_t>(x[i + j] * inverse + 12582912.0f) & 0xffff) << 16 >> 16;
      to.value[i + j] = static_cast<int8_t>(a);
      sum[j / 16] += a;
    }
    store_sums(to, i / 32, sum[0], sum[1]);
  }
  *to.scale = largest / 127.0f;
}

}  // namespace

void to_activation(DType type, void* dst, const float* x, int64_t rows, int64_t k) {
  if (type == DType::kActBF16) {
    auto* to = static_cast<uint16_t*>(dst);
    for (int64_t i = 0; i < rows * k; ++i) to[i] = float_to_bfloat16(x[i]);
    return;
  }
  const int64_t block = traits(type).block_elements, stride = static_cast<int64_t>(row_bytes(type, k));
  for (int64_t i = 0; i < rows; ++i) {
    int8_t* row = static_cast<int8_t*>(dst) + i * stride;
    for (int64_t b = 0; b < k; b += block) quantize_block(activation_block(row, k, block, b), x + i * k + b, block);
  }
}

}  // namespace strata::generic
