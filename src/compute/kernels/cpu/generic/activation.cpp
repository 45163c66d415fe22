#include "compute/kernels/activation.h"

#include <bit>
#include <cmath>

#include "compute/kernels/cpu/generic/matmul.h"
#include "compute/tensor/half.h"

namespace strata::generic {
namespace {

constexpr uint32_t kInfinity = 0x7f800000;

// One block of a row of kActQ8 or kActQ8x32; returns its scale.
float quantize_block(uint8_t* value, int16_t* sum, const float* x, int64_t n) {
  // As whole numbers the bits of magnitudes are ordered like the magnitudes, infinity and NaN above all.
  uint32_t bits = 0;
  for (int64_t i = 0; i < n; ++i) {
    const uint32_t magnitude = std::bit_cast<uint32_t>(x[i]) & 0x7fffffff;
    bits = magnitude > bits ? magnitude : bits;
  }
  const float largest = std::bit_cast<float>(bits);
  if (bits >= kInfinity || largest < kSmallestScaled) {
    for (int64_t i = 0; i < n; ++i) value[i] = 128;
    for (int64_t i = 0; i < n / 16; ++i) sum[i] = 0;
    return bits < kInfinity ? 0.0f : std::nanf("");
  }
  const float inverse = 127.0f / largest;
  for (int64_t i = 0; i < n; i += 16) {
    int total = 0;
    for (int64_t j = i; j < i + 16; ++j) {
      // Adding 1.5 * 2^23 leaves the nearest whole number, ties to even, in the lowest bits.
      const int a = static_cast<int>(std::bit_cast<uint32_t>(x[j] * inverse + 12582912.0f) & 0xffff) << 16 >> 16;
      value[j] = static_cast<uint8_t>(a + 128);
      total += a;
    }
    sum[i / 16] = static_cast<int16_t>(total);
  }
  return largest / 127.0f;
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
    uint8_t* row = static_cast<uint8_t*>(dst) + i * stride;
    auto* scale = reinterpret_cast<float*>(row + k);
    auto* sum = reinterpret_cast<int16_t*>(scale + k / block);
    for (int64_t b = 0; b < k; b += block) {
      scale[b / block] = quantize_block(row + b, sum + b / 16, x + i * k + b, block);
    }
  }
}

}  // namespace strata::generic
