// F32, F16 and FP8 weights times fp32 rows.
#include "compute/kernels/cpu/avx512/families.h"
#include "compute/kernels/cpu/avx512/matmul_float.h"

namespace strata::avx512 {
namespace {

struct WeightsF16 : WeightsF32 {
  using Packed = PackedF16;
  static constexpr int kDirectRows = 2 * kTileRows;
  STRATA_INLINE __m512 load(const Packed& p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p.w)));
  }
  STRATA_INLINE void decode(const PackedPanel<PackedF16>& weights, int64_t i, PackedF32 out[][2]) {
    for (int c = 0; c < 2; ++c)
      _mm512_storeu_ps(out[0][c].w, load(weights.first[i * weights.width + c * (weights.width - 1)]));
  }
};
struct WeightsFP8 {
  using Packed = PackedFP8;
  static constexpr DType kActivation = DType::kF32;
  static constexpr int kTileRows = WeightsF32::kTileRows, kDirectRows = 0;
  static constexpr double kProductsPerNs = WeightsF32::kProductsPerNs;
  // E4M3 in the upper bits of a half is 2^-8 of its value; subnormal halves count whatever the float mode.
  STRATA_INLINE void decode(const PackedPanel<PackedFP8>& weights, int64_t i, PackedF32 out[][2]) {
    for (int c = 0; c < 2; ++c) {
      const PackedFP8& p = weights.first[i * weights.width + c * (weights.width - 1)];
      const __m512 d = _mm512_loadu_ps(p.d);
      for (int j = 0; j < PackedFP8::kSpan; ++j) {
        const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p.q[j]));
        const __m256i wide = _mm256_cvtepu8_epi16(bytes);
        const __m256i magnitude = _mm256_slli_epi16(_mm256_and_si256(wide, _mm256_set1_epi16(0x7f)), 7);
        const __m256i sign = _mm256_slli_epi16(_mm256_and_si256(wide, _mm256_set1_epi16(0x80)), 8);
        const __m512 q = _mm512_mul_ps(_mm512_cvtph_ps(_mm256_or_si256(magnitude, sign)), _mm512_set1_ps(256));
        const __mmask16 not_a_number =
            _mm_cmpeq_epi8_mask(_mm_and_si128(bytes, _mm_set1_epi8(0x7f)), _mm_set1_epi8(0x7f));
        const __m512 w = _mm512_mask_mov_ps(q, not_a_number, _mm512_set1_ps(__builtin_nanf("")));
        _mm512_storeu_ps(out[j][c].w, _mm512_mul_ps(d, w));
      }
    }
  }
};

}  // namespace

constexpr MatmulFamily kMatmulF32 = family<WeightsF32>("f32.fma.1");
constexpr MatmulFamily kMatmulF16 = family<WeightsF16>("f16.fma.1");
constexpr MatmulFamily kMatmulFP8 = family<WeightsFP8>("fp8.fma.1");

}  // namespace strata::avx512
