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
          interleave(reinterpret_cast<BFloatPair*>(row) + j, from + c + j, is_pair ? from + stride + c + j : nullptr,
                     end - j);
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
