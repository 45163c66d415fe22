// Blocks of 256 numbers.
#include "compute/kernels/cpu/avx512/families.h"
#include "compute/kernels/cpu/avx512/matmul_quantized.h"

namespace strata::avx512 {
namespace {

// Vector v (0-3) of group g + u of 16 numbers in pairs of bits; the other bits are those of other groups.
STRATA_INLINE __m512i pairs(const uint8_t vectors[4][4][64], int g, int v) { return load_vector(vectors[g / 4][v]); }

// Pairs of bytes as pairs of int16.
STRATA_INLINE __m512i widen_pairs(const uint8_t p[16][2]) {
  return _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}

struct WeightsQ2_K {
  using Packed = PackedQ2_K;
  using Form = PanelForm<16, 4, true, Minima::kWhole>;
  static constexpr int kUnroll = 4;
  STRATA_INLINE __m512i vector(const Packed& p, int g, int u, int v) {
    return _mm512_and_si512(shifted(pairs(p.low, g, v), -2 * u), _mm512_set1_epi8(3));
  }
  STRATA_INLINE __m512 scale(const Packed& p, int g, int u) {
    const __m512i both = widen_pairs(p.scale[(g + u) / 2]);
    const __m512i one = u % 2 == 0 ? both : _mm512_srli_epi32(both, 16);
    return _mm512_cvtepi32_ps(_mm512_and_si512(one, _mm512_set1_epi32(15)));
  }
  STRATA_INLINE __m512 d(const Packed& p) { return halves_to_floats(p.d); }
  STRATA_INLINE __m512 dmin(const Packed& p) { return halves_to_floats(p.dmin); }
  STRATA_INLINE __m512i minima(const Packed& p, int i) { return _mm512_srli_epi16(widen_pairs(p.scale[i]), 4); }
};

struct WeightsQ3_K {
  using Packed = PackedQ3_K;
  using Form = PanelForm<16, 4, true, Minima::kNone>;
  static constexpr int kUnroll = 4;
  STRATA_INLINE __m512i vector(const Packed& p, int g, int u, int v) {
    const __m512i low = _mm512_and_si512(shifted(pairs(p.low, g, v), -2 * u), _mm512_set1_epi8(3));
    const __m512i bits = shifted(load_vector(p.high[(g + u) / 2]), 2 - (u % 2 * 4 + v));
    return _mm512_sub_epi8(masked_or(bits, _mm512_set1_epi8(4), low), _mm512_set1_epi8(4));
  }
  STRATA_INLINE __m512 scale(const Packed& p, int g, int u) {
    const __m512i low = _mm512_srli_epi32(widen_bytes(p.scale_low[(g + u) / 2]), static_cast<unsigned>(u % 2 * 4));
    const __m512i high = shifted(widen_bytes(p.scale_high[g / 4]), 4 - 2 * u);
    const __m512i bits = masked_or(high, _mm512_set1_epi32(0x30), _mm512_and_si512(low, _mm512_set1_epi32(15)));
    return _mm512_cvtepi32_ps(_mm512_sub_epi32(bits, _mm512_set1_epi32(32)));
  }
  STRATA_INLINE __m512 d(const Packed& p) { return halves_to_floats(p.d); }
};

struct WeightsQ4_K {
  using Packed = PackedQ4_K;
  using Form = PanelForm<8, 8, true, Minima::kWhole>;
  static constexpr int kUnroll = 1;
  STRATA_INLINE __m512i vector(const Packed& p, int g, int, int v) { return nibbles(p.low[g], v); }
  STRATA_INLINE __m512 scale(const Packed& p, int g, int) { return to_floats(p.scale[g]); }
  STRATA_INLINE __m512 d(const Packed& p) { return halves_to_floats(p.d); }
  STRATA_INLINE __m512 dmin(const Packed& p) { return halves_to_floats(p.dmin); }
  STRATA_INLINE __m512i minima(const Packed& p, int i) { return widen_pairs(p.min[i]); }
};

struct WeightsQ5_K {
  using Packed = PackedQ5_K;
  using Form = PanelForm<8, 8, true, Minima::kWhole>;
  static constexpr int kUnroll = 1;
  STRATA_INLINE __m512i vector(const Packed& p, int g, int, int v) { return five_bits(p.low[g], p.high[g], v); }
  STRATA_INLINE __m512 scale(const Packed& p, int g, int) { return to_floats(p.scale[g]); }
  STRATA_INLINE __m512 d(const Packed& p) { return halves_to_floats(p.d); }
  STRATA_INLINE __m512 dmin(const Packed& p) { return halves_to_floats(p.dmin); }
  STRATA_INLINE __m512i minima(const Packed& p, int i) { return widen_pairs(p.min[i]); }
};

struct WeightsQ6_K {
  using Packed = PackedQ6_K;
  using Form = PanelForm<16, 4, true, Minima::kNone>;
  static constexpr int kUnroll = 4;
  STRATA_INLINE __m512i vector(const Packed& p, int g, int u, int v) {
    const __m512i high = shifted(pairs(p.high, g, v), 4 - 2 * u), low = nibbles(p.low[(g + u) / 2], u % 2 * 4 + v);
    return _mm512_sub_epi8(masked_or(high, _mm512_set1_epi8(0x30), low), _mm512_set1_epi8(32));
  }
  STRATA_INLINE __m512 scale(const Packed& p, int g, int u) { return to_floats(p.scale[g + u]); }
  STRATA_INLINE __m512 d(const Packed& p) { return halves_to_floats(p.d); }
};

struct WeightsIQ4_XS {
  using Packed = PackedIQ4_XS;
  using Form = PanelForm<8, 8, true, Minima::kNone>;
  static constexpr int kUnroll = 1;
  STRATA_INLINE __m512i vector(const Packed& p, int g, int, int v) { return look_up(kIQ4Values, nibbles(p.low[g], v)); }
  STRATA_INLINE __m512 scale(const Packed& p, int g, int) { return to_floats(p.scale[g]); }
  STRATA_INLINE __m512 d(const Packed& p) { return halves_to_floats(p.d); }
};

}  // namespace

constexpr MatmulFamily kMatmulQ2_K = quantized_family<WeightsQ2_K, DType::kActQ8>("q2_k.fma.1");
constexpr MatmulFamily kMatmulQ3_K = quantized_family<WeightsQ3_K, DType::kActQ8>("q3_k.fma.1");
constexpr MatmulFamily kMatmulQ4_K = quantized_family<WeightsQ4_K, DType::kActQ8>("q4_k.fma.1");
constexpr MatmulFamily kMatmulQ5_K = quantized_family<WeightsQ5_K, DType::kActQ8>("q5_k.fma.1");
constexpr MatmulFamily kMatmulQ6_K = quantized_family<WeightsQ6_K, DType::kActQ8>("q6_k.fma.1");
constexpr MatmulFamily kMatmulIQ4_XS = quantized_family<WeightsIQ4_XS, DType::kActQ8>("iq4_xs.fma.1");

}  // namespace strata::avx512
