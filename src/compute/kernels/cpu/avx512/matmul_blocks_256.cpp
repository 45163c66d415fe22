// Blocks of 256 numbers.
#include "compute/kernels/cpu/avx512/families.h"
#include "compute/kernels/cpu/avx512/matmul_quantized.h"

namespace strata::avx512 {
namespace {

// Vector v (0-3) of group g + u of 16 numbers in pairs of bits; the other bits are those of other groups.
STRATA_INLINE __m512i pairs(const uint8_t vectors[4][4][64], int g, int v) { return load_vector(vectors[g / 4][v]); }

struct WeightsQ2_K {
  using Packed = PackedQ2_K;
  using Form = PanelForm<16, 4, true, Minima::kWhole, dot_shift(DType::kQ2_K), false>;
  static constexpr int kOffset = 0, kUnroll = 4, kDirectRows = 12;
  STRATA_INLINE __m512i code(const Packed& p, int g, int u, int v) {
    return _mm512_and_si512(shifted(pairs(p.low, g, v), -2 * u), _mm512_set1_epi8(3));
  }
  STRATA_INLINE __m512i scales(const Packed& p, int i) {
    return _mm512_and_si512(widen_pairs(p.scale[i]), _mm512_set1_epi16(15));
  }
  STRATA_INLINE __m512 d(const Packed& p) { return halves_to_floats(p.d); }
  STRATA_INLINE __m512 dmin(const Packed& p) { return halves_to_floats(p.dmin); }
  STRATA_INLINE __m512i minima(const Packed& p, int i) { return _mm512_srli_epi16(widen_pairs(p.scale[i]), 4); }
};

struct WeightsQ3_K {
  using Packed = PackedQ3_K;
  using Form = PanelForm<16, 4, true, Minima::kNone, dot_shift(DType::kQ3_K), true>;
  static constexpr int kOffset = 4, kUnroll = 4, kDirectRows = 8;
  STRATA_INLINE __m512i code(const Packed& p, int g, int u, int v) {
    const __m512i low = _mm512_and_si512(shifted(pairs(p.low, g, v), -2 * u), _mm512_set1_epi8(3));
    const __m512i bits = shifted(load_vector(p.high[(g + u) / 2]), 2 - (u % 2 * 4 + v));
    return masked_or(bits, _mm512_set1_epi8(4), low);
  }
  STRATA_INLINE __m512i scales(const Packed& p, int i) {
    const __m512i both = widen_bytes(p.scale_low[i]);  // four bits and four: 12 bits further they are in both int16
    const __m512i low = _mm512_and_si512(_mm512_or_si512(both, _mm512_slli_epi32(both, 12)), _mm512_set1_epi16(15));
    const __m512i four = _mm512_srli_epi32(widen_bytes(p.scale_high[i / 2]), static_cast<unsigned>(i % 2 * 4));
    const __m512i high = _mm512_or_si512(_mm512_slli_epi32(four, 4), _mm512_slli_epi32(four, 18));
    return _mm512_sub_epi16(masked_or(high, _mm512_set1_epi16(0x30), low), _mm512_set1_epi16(32));
  }
  STRATA_INLINE __m512 d(const Packed& p) { return halves_to_floats(p.d); }
};

struct WeightsQ4_K {
  using Packed = PackedQ4_K;
  using Form = PanelForm<8, 8, true, Minima::kWhole, dot_shift(DType::kQ4_K), false, 4>;
  static constexpr int kOffset = 0, kUnroll = 2, kDirectRows = kAllRows;
  STRATA_INLINE __m512i code(const Packed& p, int g, int u, int v) {
    return _mm512_and_si512(load_vector(p.low[g / 2][v]), _mm512_set1_epi8(static_cast<char>(u == 0 ? 0x0f : 0xf0)));
  }
  STRATA_INLINE __m512i scales(const Packed& p, int i) { return widen_pairs(p.scale[i]); }
  STRATA_INLINE __m512 d(const Packed& p) { return halves_to_floats(p.d); }
  STRATA_INLINE __m512 dmin(const Packed& p) { return halves_to_floats(p.dmin); }
  STRATA_INLINE __m512i minima(const Packed& p, int i) { return widen_pairs(p.min[i]); }
};

struct WeightsQ5_K {
  using Packed = PackedQ5_K;
  using Form = PanelForm<8, 8, true, Minima::kWhole, dot_shift(DType::kQ5_K), false>;
  static constexpr int kOffset = 0, kUnroll = 1, kDirectRows = 24;
  STRATA_INLINE __m512i code(const Packed& p, int g, int, int v) { return five_bits(p.low[g], p.high[g], v); }
  STRATA_INLINE __m512i scales(const Packed& p, int i) { return widen_pairs(p.scale[i]); }
  STRATA_INLINE __m512 d(const Packed& p) { return halves_to_floats(p.d); }
  STRATA_INLINE __m512 dmin(const Packed& p) { return halves_to_floats(p.dmin); }
  STRATA_INLINE __m512i minima(const Packed& p, int i) { return widen_pairs(p.min[i]); }
};

struct WeightsQ6_K {
  using Packed = PackedQ6_K;
  using Form = PanelForm<16, 4, true, Minima::kNone, dot_shift(DType::kQ6_K), true>;
  static constexpr int kOffset = 32, kUnroll = 4, kDirectRows = 12;
  STRATA_INLINE __m512i code(const Packed& p, int g, int u, int v) {
    const __m512i high = shifted(pairs(p.high, g, v), 4 - 2 * u), low = nibbles(p.low[(g + u) / 2], u % 2 * 4 + v);
    return masked_or(high, _mm512_set1_epi8(0x30), low);
  }
  STRATA_INLINE __m512i scales(const Packed& p, int i) { return widen_pairs(p.scale[i]); }
  STRATA_INLINE __m512 d(const Packed& p) { return halves_to_floats(p.d); }
};

struct WeightsIQ4_XS {
  using Packed = PackedIQ4_XS;
  using Form = PanelForm<8, 8, true, Minima::kNone, kFloatScales, true>;
  static constexpr int kOffset = 128, kUnroll = 1, kDirectRows = 24;
  STRATA_INLINE __m512i code(const Packed& p, int g, int, int v) { return look_up(kIQ4Values, nibbles(p.low[g], v)); }
  STRATA_INLINE __m512 scale(const Packed& p, int g) { return to_floats(p.scale[g]); }
  STRATA_INLINE __m512 d(const Packed& p) { return halves_to_floats(p.d); }
};

}  // namespace

constexpr MatmulFamily kMatmulQ2_K = quantized_family<WeightsQ2_K, DType::kActQ8>("q2_k.pairs.1");
constexpr MatmulFamily kMatmulQ3_K = quantized_family<WeightsQ3_K, DType::kActQ8>("q3_k.pairs.1");
constexpr MatmulFamily kMatmulQ4_K = quantized_family<WeightsQ4_K, DType::kActQ8>("q4_k.pairs.1");
constexpr MatmulFamily kMatmulQ5_K = quantized_family<WeightsQ5_K, DType::kActQ8>("q5_k.pairs.1");
constexpr MatmulFamily kMatmulQ6_K = quantized_family<WeightsQ6_K, DType::kActQ8>("q6_k.pairs.1");
constexpr MatmulFamily kMatmulIQ4_XS = quantized_family<WeightsIQ4_XS, DType::kActQ8>("iq4_xs.fma.1");

}  // namespace strata::avx512
