// BF16 weights times bf16 rows, by vdpbf16ps.
#include "compute/kernels/cpu/avx512/families.h"
#include "compute/kernels/cpu/avx512/matmul_float.h"

namespace strata::avx512 {
namespace {

struct WeightsBF16 {
  using Packed = PackedBF16;
  static constexpr DType kActivation = DType::kActBF16;
  static constexpr int kTileRows = 12, kOneStepRows = kTileRows, kDirectRows = kMaxRows;
  static constexpr double kProductsPerNs = 200;
  STRATA_INLINE __m512 load(const Packed& p) { return _mm512_loadu_ps(reinterpret_cast<const float*>(p.w)); }
  STRATA_INLINE __m512 multiply_add(__m512 sum, float x, __m512 w) {
    const __m512i pair = _mm512_castps_si512(_mm512_set1_ps(x));
    return _mm512_dpbf16_ps(sum, (__m512bh)pair, (__m512bh)_mm512_castps_si512(w));
  }
};

}  // namespace

constexpr MatmulFamily kMatmulBF16 = family<WeightsBF16>("bf16.dpbf16.1");

}  // namespace strata::avx512
