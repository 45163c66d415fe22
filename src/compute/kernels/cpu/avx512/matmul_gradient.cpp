#include "compute/kernels/cpu/avx512/lanes.h"
#include "compute/kernels/cpu/avx512/matmul.h"

namespace strata::avx512 {
#include "compute/kernels/cpu/lanes/row.inl"
#include "compute/kernels/cpu/lanes/outer_products.inl"
#include "compute/kernels/cpu/lanes/matmul_gradient.inl"

namespace {

// Pairs of bfloat16 numbers, for vdpbf16ps: a last one without partner stands beside a zero.
struct BFloatFactors {
  using Number = BFloat;
  struct Products {
    STRATA_INLINE Lanes add(Lanes a, Lanes b, Lanes sum) {
      return {_mm512_dpbf16_ps(sum.v, (__m512bh)_mm512_castps_si512(a.v), (__m512bh)_mm512_castps_si512(b.v))};
    }
  };
  static constexpr int64_t kSpan = 2;
  STRATA_INLINE __m512i widened(const BFloat* from, LaneMask mask) {
    return _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, from));
  }
  // Words of two rows.
  STRATA_INLINE void across(float* to, const BFloat* from, int64_t stride, int64_t rows, int64_t columns) {
    for (int64_t i = 0; i < rows; i += 2, from += 2 * stride, to += columns) {
      for (int64_t j = 0; j < columns; j += kLanes) {
        const LaneMask mask = first_lanes(columns - j), second = i + 1 < rows ? mask : LaneMask{0};
        const __m512i pairs =
            _mm512_or_si512(widened(from + j, mask), _mm512_slli_epi32(widened(from + stride + j, second), 16));
        _mm512_mask_storeu_ps(to + j, mask, _mm512_castsi512_ps(pairs));
      }
    }
  }
  // Words of two columns, as they lie.
  STRATA_INLINE void along(float* to, const BFloat* from, int64_t stride, int64_t rows, int64_t columns) {
    const int64_t words = (columns + 1) / 2;
    for (int64_t i = 0; i < rows; ++i, from += stride, to += words) {
      to[words - 1] = 0;
      __builtin_memcpy(to, from, static_cast<size_t>(columns) * sizeof(BFloat));
    }
  }
};

}  // namespace

#include "compute/kernels/cpu/lanes/matmul_gradient_bfloat.inl"
}  // namespace strata::avx512
