#include "compute/kernels/activation.h"

#include "compute/kernels/cpu/avx512/lanes.h"
#include "compute/kernels/cpu/avx512/matmul.h"

namespace strata::avx512 {
namespace {

constexpr uint32_t kInfinity = 0x7f800000;

// Bits of the largest |x|: as whole numbers they are ordered like the magnitudes, infinity and NaN above all.
STRATA_INLINE uint32_t largest_magnitude_bits(const float* x, int64_t n) {
  const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
  __m512i largest = _mm512_setzero_si512();
  for (int64_t i = 0; i < n; i += kLanes) {
    largest = _mm512_max_epu32(largest, _mm512_and_si512(_mm512_loadu_si512(x + i), magnitude));
  }
  return _mm512_reduce_max_epu32(largest);
}

STRATA_INLINE float to_float(uint32_t bits) {
  float value;
  __builtin_memcpy(&value, &bits, sizeof(value));
  return value;
}

// One block of a row of kActQ8 or kActQ8x32.
STRATA_INLINE void quantize_block(const ActivationBlock& to, const float* x, int64_t n) {
  const uint32_t bits = largest_magnitude_bits(x, n);
  const float largest = to_float(bits);
  const bool scaled = bits < kInfinity && largest >= kSmallestScaled;
  const __m512 inverse = _mm512_set1_ps(scaled ? 127.0f / largest : 0.0f);
  const __mmask16 used = scaled ? 0xffff : 0;
  for (int64_t i = 0; i < n; i += 32) {
    int sum[2];
    STRATA_UNROLL
    for (int half = 0; half < 2; ++half) {
      const __m512 product = _mm512_mul_ps(_mm512_loadu_ps(x + i + 16 * half), inverse);
      const __m512i a = _mm512_maskz_cvtps_epi32(used, product);
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to.value + i + 16 * half), _mm512_cvtepi32_epi8(a));
      sum[half] = _mm512_reduce_add_epi32(a);
    }
    store_sums(to, i / 32, sum[0], sum[1]);
  }
  *to.scale = scaled ? largest / 127.0f : bits < kInfinity ? 0.0f : to_float(0x7fc00000);
}

}  // namespace

void to_activation(DType type, void* dst, const float* x, int64_t rows, int64_t k) {
  if (type == DType::kActBF16) {
    auto* to = static_cast<uint16_t*>(dst);
    for (int64_t i = 0; i < rows * k; i += kLanes) {
      const LaneMask mask = first_lanes(rows * k - i);
      _mm256_mask_storeu_epi16(to + i, mask, to_bfloat16(_mm512_maskz_loadu_ps(mask, x + i)));
    }
    return;
  }
  const int64_t block = traits(type).block_elements, stride = static_cast<int64_t>(row_bytes(type, k));
  for (int64_t i = 0; i < rows; ++i) {
    int8_t* row = static_cast<int8_t*>(dst) + i * stride;
    for (int64_t b = 0; b < k; b += block) quantize_block(activation_block(row, k, block, b), x + i * k + b, block);
  }
}

}  // namespace strata::avx512
