// BF16 weights times bf16 rows, widened to fp32 in registers: the arithmetic of kernels/reference/matmul.h.
#include "compute/kernels/cpu/avx512/matmul_float.h"
#include "compute/kernels/cpu/avx512vnni/matmul.h"

namespace strata::avx512vnni {
namespace {

struct WeightsBF16 {
  using Packed = PackedBF16;
  static constexpr DType kActivation = DType::kActBF16;
  static constexpr int kTileRows = 12, kOneStepRows = kTileRows, kDirectRows = avx512::kMaxRows;
  static constexpr double kProductsPerNs = 100;
  STRATA_INLINE __m512 load(const Packed& p) { return _mm512_loadu_ps(reinterpret_cast<const float*>(p.w)); }
  STRATA_INLINE __m512 first(__m512 words) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(words), 16));
  }
  STRATA_INLINE __m512 second(__m512 words) {
    const __m512i upper = _mm512_set1_epi32(static_cast<int>(0xffff0000u));
    return _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(words), upper));
  }
  STRATA_INLINE __m512 multiply_add(__m512 sum, float x, __m512 w) {
    const __m512 word = _mm512_set1_ps(x);
    return _mm512_fmadd_ps(second(word), second(w), _mm512_fmadd_ps(first(word), first(w), sum));
  }
};

}  // namespace

constexpr MatmulFamily kMatmulBF16 = avx512::family<WeightsBF16>("bf16.fma.1");

}  // namespace strata::avx512vnni
