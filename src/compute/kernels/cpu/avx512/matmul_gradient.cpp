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
  // Words of two rows.
  STRATA_INLINE void across(float* to, int64_t width, const BFloat* from, int64_t stride, int64_t rows,
                            int64_t columns) {
    const int64_t steps = (rows + 1) / 2;
    for (int64_t i = 0; i < steps; ++i, from += 2 * stride) {
      float* row = to + i * width;
      const bool is_pair = 2 * i + 1 < rows;
      for (int64_t c = 0; c < columns; c += width, row += steps * width) {
        const int64_t end = smaller(columns - c, width);
        for (int64_t j = 0; j < end; j += 2 * kLanes)
          store_pairs(row + j, from + c + j, is_pair ? from + stride + c + j : nullptr, end - j);
      }
    }
  }
  // Up to 32 words, of one number of each row.
  STRATA_INLINE void store_pairs(float* to, const BFloat* first, const BFloat* second, int64_t n) {
    const __mmask32 mask = n >= 2 * kLanes ? 0xffffffffu : (1u << n) - 1u;
    const __m512i even = _mm512_maskz_loadu_epi16(mask, first);
    const __m512i odd = second == nullptr ? _mm512_setzero_si512() : _mm512_maskz_loadu_epi16(mask, second);
    // Where the two numbers of a word are: of `even`, and of `odd`, whose numbers count from 32.
    const __m512i words = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const __m512i low = _mm512_or_si512(words, _mm512_slli_epi32(_mm512_add_epi32(words, _mm512_set1_epi32(32)), 16));
    const __m512i high = _mm512_add_epi32(low, _mm512_set1_epi32(16 << 16 | 16));
    _mm512_mask_storeu_epi32(to, first_lanes(n), _mm512_permutex2var_epi16(even, low, odd));
    if (n > kLanes)
      _mm512_mask_storeu_epi32(to + kLanes, first_lanes(n - kLanes), _mm512_permutex2var_epi16(even, high, odd));
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
