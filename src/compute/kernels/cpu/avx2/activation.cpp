#include "compute/kernels/activation.h"

#include "compute/kernels/cpu/avx2/lanes.h"
#include "compute/kernels/cpu/avx2/matmul.h"

namespace strata::avx2 {
namespace {

constexpr uint32_t kInfinity = 0x7f800000;

STRATA_INLINE __m256i load_bits(const float* x) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(x)); }

// Bits of the largest |x|: as whole numbers they are ordered like the magnitudes, infinity and NaN above all.
STRATA_INLINE uint32_t largest_magnitude_bits(const float* x, int64_t n) {
  const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
  __m256i eight = _mm256_setzero_si256();
  for (int64_t i = 0; i < n; i += 8) eight = _mm256_max_epu32(eight, _mm256_and_si256(load_bits(x + i), magnitude));
  __m128i four = _mm_max_epu32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
  four = _mm_max_epu32(four, _mm_shuffle_epi32(four, 0x4e));
  return static_cast<uint32_t>(_mm_cvtsi128_si32(_mm_max_epu32(four, _mm_shuffle_epi32(four, 0xb1))));
}

STRATA_INLINE float to_float(uint32_t bits) {
  float value;
  __builtin_memcpy(&value, &bits, sizeof(value));
  return value;
}

// Sixteen numbers of 32 bits as 16 bits, in order; they fit.
STRATA_INLINE __m256i in_order(__m256i packed) { return _mm256_permute4x64_epi64(packed, 0xd8); }

STRATA_INLINE int sum_of_16(__m256i words) {
  const __m256i eight = _mm256_madd_epi16(words, _mm256_set1_epi16(1));
  __m128i four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
  four = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(four, _mm_shuffle_epi32(four, 0xb1)));
}

// One block of a row of kActQ8 or kActQ8x32.
STRATA_INLINE void quantize_block(const ActivationBlock& to, const float* x, int64_t n) {
  const uint32_t bits = largest_magnitude_bits(x, n);
  const float largest = to_float(bits);
  const bool scaled = bits < kInfinity && largest >= kSmallestScaled;
  const __m256 inverse = _mm256_set1_ps(scaled ? 127.0f / largest : 0.0f);
  const __m256i used = _mm256_set1_epi32(scaled ? -1 : 0);  // x that is not finite is no number even times 0
  for (int64_t i = 0; i < n; i += 32) {
    int sum[2];
    STRATA_UNROLL
    for (int half = 0; half < 2; ++half) {
      const float* from = x + i + 16 * half;
      const __m256i low = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(from), inverse));
      const __m256i high = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(from + 8), inverse));
      const __m256i words = _mm256_and_si256(in_order(_mm256_packs_epi32(low, high)), used);
      const __m128i a = _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(to.value + i + 16 * half), a);
      sum[half] = sum_of_16(words);
    }
    store_sums(to, i / 32, sum[0], sum[1]);
  }
  *to.scale = scaled ? largest / 127.0f : bits < kInfinity ? 0.0f : to_float(0x7fc00000);
}

STRATA_INLINE __m256i to_bfloat16(__m256 x) {
  const __m256i bits = _mm256_castps_si256(x);
  const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
  const __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
  const __m256i magnitude = _mm256_and_si256(bits, _mm256_set1_epi32(0x7fffffff));
  const __m256i nan = _mm256_cmpgt_epi32(magnitude, _mm256_set1_epi32(static_cast<int>(kInfinity)));
  const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
  return _mm256_srli_epi32(_mm256_blendv_epi8(rounded, quiet, nan), 16);
}

}  // namespace

void to_activation(DType type, void* dst, const float* x, int64_t rows, int64_t k) {
  if (type == DType::kActBF16) {
    auto* to = static_cast<uint16_t*>(dst);
    for (int64_t i = 0; i < rows * k; i += kLanes) {
      const int64_t n = rows * k - i < kLanes ? rows * k - i : kLanes;
      const Lanes a = load_first(x + i, n);
      const __m256i numbers = in_order(_mm256_packus_epi32(to_bfloat16(a.low), to_bfloat16(a.high)));
      uint16_t tail[kLanes];
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(n == kLanes ? to + i : tail), numbers);
      for (int64_t j = 0; n < kLanes && j < n; ++j) to[i + j] = tail[j];
    }
    return;
  }
  const int64_t block = traits(type).block_elements, stride = static_cast<int64_t>(row_bytes(type, k));
  for (int64_t i = 0; i < rows; ++i) {
    int8_t* row = static_cast<int8_t*>(dst) + i * stride;
    for (int64_t b = 0; b < k; b += block) quantize_block(activation_block(row, k, block, b), x + i * k + b, block);
  }
}

}  // namespace strata::avx2
