// Blocks of 32 numbers, eight to a struct, or one for kActQ8x32.
#include "compute/kernels/cpu/avx512/families.h"
#include "compute/kernels/cpu/avx512/matmul_quantized.h"

namespace strata::avx512 {
namespace {

// 2^(e - 128), subnormal for the two smallest.
STRATA_INLINE __m512 powers_of_two(const uint8_t* exponents) {
  const __m512i e = widen_bytes(exponents);
  const __m512i normal = _mm512_slli_epi32(_mm512_sub_epi32(e, _mm512_set1_epi32(1)), 23);
  const __m512i subnormal = _mm512_sllv_epi32(_mm512_set1_epi32(0x00200000), e);
  const __mmask16 small = _mm512_cmplt_epu32_mask(e, _mm512_set1_epi32(2));
  return _mm512_castsi512_ps(_mm512_mask_blend_epi32(small, normal, subnormal));
}

template <int kBlocks>
struct WeightsQ8_0 {
  using Packed = PackedQ8_0<kBlocks>;
  using Form = PanelForm<kBlocks, 8, false, Minima::kNone, kFloatScales, true>;
  static constexpr int kOffset = 128, kUnroll = 1, kDirectRows = kAllRows;
  STRATA_INLINE __m512i code(const Packed& p, int g, int, int v) { return load_vector(p.q[g][v]); }
  STRATA_INLINE __m512 scale(const Packed& p, int g) { return halves_to_floats(p.d[g]); }
};

template <int kBlocks>
struct WeightsQ4_0 {
  using Packed = PackedQ4_0<kBlocks>;
  using Form = PanelForm<kBlocks, 8, false, Minima::kNone, kFloatScales, true>;
  static constexpr int kOffset = 8, kUnroll = 1, kDirectRows = kAllRows;
  STRATA_INLINE __m512i code(const Packed& p, int g, int, int v) {
    return nibbles(p.low[g], v);
  }
  STRATA_INLINE __m512 scale(const Packed& p, int g) { return halves_to_floats(p.d[g]); }
};

template <int kBlocks>
struct WeightsQ4_1 {
  using Packed = PackedQ4_1<kBlocks>;
  using Form = PanelForm<kBlocks, 8, false, Minima::kPlain, kFloatScales, false>;
  static constexpr int kOffset = 0, kUnroll = 1, kDirectRows = kAllRows;
  STRATA_INLINE __m512i code(const Packed& p, int g, int, int v) { return nibbles(p.low[g], v); }
  STRATA_INLINE __m512 scale(const Packed& p, int g) { return halves_to_floats(p.d[g]); }
  STRATA_INLINE __m512 minimum(const Packed& p, int g) { return halves_to_floats(p.m[g]); }
};

template <int kBlocks>
struct WeightsQ5_0 {
  using Packed = PackedQ5_0<kBlocks>;
  using Form = PanelForm<kBlocks, 8, false, Minima::kNone, kFloatScales, true>;
  static constexpr int kOffset = 16, kUnroll = 1, kDirectRows = 24;
  STRATA_INLINE __m512i code(const Packed& p, int g, int, int v) {
    return five_bits(p.low[g], p.high[g], v);
  }
  STRATA_INLINE __m512 scale(const Packed& p, int g) { return halves_to_floats(p.d[g]); }
};

template <int kBlocks>
struct WeightsQ5_1 {
  using Packed = PackedQ5_1<kBlocks>;
  using Form = PanelForm<kBlocks, 8, false, Minima::kPlain, kFloatScales, false>;
  static constexpr int kOffset = 0, kUnroll = 1, kDirectRows = 24;
  STRATA_INLINE __m512i code(const Packed& p, int g, int, int v) { return five_bits(p.low[g], p.high[g], v); }
  STRATA_INLINE __m512 scale(const Packed& p, int g) { return halves_to_floats(p.d[g]); }
  STRATA_INLINE __m512 minimum(const Packed& p, int g) { return halves_to_floats(p.m[g]); }
};

template <int kBlocks>
struct WeightsIQ4_NL {
  using Packed = PackedIQ4_NL<kBlocks>;
  using Form = PanelForm<kBlocks, 8, false, Minima::kNone, kFloatScales, true>;
  static constexpr int kOffset = 128, kUnroll = 1, kDirectRows = 24;
  STRATA_INLINE __m512i code(const Packed& p, int g, int, int v) { return look_up(kIQ4Values, nibbles(p.low[g], v)); }
  STRATA_INLINE __m512 scale(const Packed& p, int g) { return halves_to_floats(p.d[g]); }
};

template <int kBlocks>
struct WeightsMXFP4 {
  using Packed = PackedMXFP4<kBlocks>;
  using Form = PanelForm<kBlocks, 8, false, Minima::kNone, kFloatScales, true>;
  static constexpr int kOffset = 128, kUnroll = 1, kDirectRows = 24;
  STRATA_INLINE __m512i code(const Packed& p, int g, int, int v) { return look_up(kFP4Values, nibbles(p.low[g], v)); }
  STRATA_INLINE __m512 scale(const Packed& p, int g) { return powers_of_two(p.e[g]); }
};

template <int kBlocks>
struct WeightsInt4 {
  using Packed = PackedInt4<kBlocks>;
  using Form = PanelForm<kBlocks, 8, false, Minima::kNone, kFloatScales, true>;
  static constexpr int kOffset = 128, kUnroll = 1, kDirectRows = 24;
  STRATA_INLINE __m512i code(const Packed& p, int g, int, int v) {
    const __m512i zero = widen_bytes(reinterpret_cast<const uint8_t*>(p.zero[g]));
    const __m512i lowest_byte = _mm512_set4_epi32(0x0c0c0c0c, 0x08080808, 0x04040404, 0);
    const __m512i less = _mm512_shuffle_epi8(_mm512_xor_si512(zero, _mm512_set1_epi32(128)), lowest_byte);
    return _mm512_sub_epi8(nibbles(p.low[g], v), less);  // modulo 256: the number with 128 added
  }
  STRATA_INLINE __m512 scale(const Packed& p, int g) { return _mm512_loadu_ps(p.d[g]); }
};

template <int kBlocks>
struct WeightsInt8 {
  using Packed = PackedInt8<kBlocks>;
  using Form = PanelForm<kBlocks, 8, false, Minima::kNone, kFloatScales, true>;
  static constexpr int kOffset = 128, kUnroll = 1, kDirectRows = kAllRows;
  STRATA_INLINE __m512i code(const Packed& p, int g, int, int v) { return load_vector(p.q[g][v]); }
  STRATA_INLINE __m512 scale(const Packed& p, int g) { return _mm512_loadu_ps(p.d[g]); }
};

}  // namespace

constexpr MatmulFamily kMatmulInt4x32 = quantized_family<WeightsInt4<1>, DType::kActQ8x32>("int4.x32.fma.1");
constexpr MatmulFamily kMatmulInt8x32 = quantized_family<WeightsInt8<1>, DType::kActQ8x32>("int8.x32.fma.1");
constexpr MatmulFamily kMatmulInt4 = quantized_family<WeightsInt4<8>, DType::kActQ8>("int4.fma.1", &kMatmulInt4x32);
constexpr MatmulFamily kMatmulInt8 = quantized_family<WeightsInt8<8>, DType::kActQ8>("int8.fma.1", &kMatmulInt8x32);
constexpr MatmulFamily kMatmulQ8_0x32 = quantized_family<WeightsQ8_0<1>, DType::kActQ8x32>("q8_0.x32.fma.1");
constexpr MatmulFamily kMatmulQ4_0x32 = quantized_family<WeightsQ4_0<1>, DType::kActQ8x32>("q4_0.x32.fma.1");
constexpr MatmulFamily kMatmulQ4_1x32 = quantized_family<WeightsQ4_1<1>, DType::kActQ8x32>("q4_1.x32.fma.1");
constexpr MatmulFamily kMatmulQ5_0x32 = quantized_family<WeightsQ5_0<1>, DType::kActQ8x32>("q5_0.x32.fma.1");
constexpr MatmulFamily kMatmulQ5_1x32 = quantized_family<WeightsQ5_1<1>, DType::kActQ8x32>("q5_1.x32.fma.1");
constexpr MatmulFamily kMatmulIQ4_NLx32 = quantized_family<WeightsIQ4_NL<1>, DType::kActQ8x32>("iq4_nl.x32.fma.1");
constexpr MatmulFamily kMatmulMXFP4x32 = quantized_family<WeightsMXFP4<1>, DType::kActQ8x32>("mxfp4.x32.fma.1");
constexpr MatmulFamily kMatmulQ8_0 = quantized_family<WeightsQ8_0<8>, DType::kActQ8>("q8_0.fma.1", &kMatmulQ8_0x32);
constexpr MatmulFamily kMatmulQ4_0 = quantized_family<WeightsQ4_0<8>, DType::kActQ8>("q4_0.fma.1", &kMatmulQ4_0x32);
constexpr MatmulFamily kMatmulQ4_1 = quantized_family<WeightsQ4_1<8>, DType::kActQ8>("q4_1.fma.1", &kMatmulQ4_1x32);
constexpr MatmulFamily kMatmulQ5_0 = quantized_family<WeightsQ5_0<8>, DType::kActQ8>("q5_0.fma.1", &kMatmulQ5_0x32);
constexpr MatmulFamily kMatmulQ5_1 = quantized_family<WeightsQ5_1<8>, DType::kActQ8>("q5_1.fma.1", &kMatmulQ5_1x32);
constexpr MatmulFamily kMatmulIQ4_NL =
    quantized_family<WeightsIQ4_NL<8>, DType::kActQ8>("iq4_nl.fma.1", &kMatmulIQ4_NLx32);
constexpr MatmulFamily kMatmulMXFP4 = quantized_family<WeightsMXFP4<8>, DType::kActQ8>("mxfp4.fma.1", &kMatmulMXFP4x32);

}  // namespace strata::avx512
