// Blocks of 256 numbers.
#include "compute/kernels/cpu/avx2/families.h"
#include "compute/kernels/cpu/avx2/matmul_quantized.h"

namespace strata::avx2 {
namespace {

// Vector v (0-3) of group g + u of 16 numbers in pairs of bits; the other bits are those of other groups.
STRATA_INLINE __m256i pairs(const uint8_t vectors[4][4][64], int g, int v, int h) {
  return load_half(vectors[g / 4][v], h);
}

// Pairs of bytes as pairs of int16.
STRATA_INLINE __m256i widen_pairs(const uint8_t p[16][2], int h) {
  return _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p) + h));
}

struct WeightsQ2_K {
  using Packed = PackedQ2_K;
  static constexpr int kMost = 3, kOffset = 0, kUnroll = 4;
  using Form = FormOf<16, 4, kMost, kOffset, true, Minima::kWhole>;
  STRATA_INLINE __m256i held(const Packed& p, int g, int u, int v, int h) {
    return _mm256_and_si256(shifted(pairs(p.low, g, v, h), -2 * u), _mm256_set1_epi8(3));
  }
  STRATA_INLINE __m256 scale(const Packed& p, int g, int u, int h) {
    const __m256i both = widen_pairs(p.scale[(g + u) / 2], h);
    const __m256i one = u % 2 == 0 ? both : _mm256_srli_epi32(both, 16);
    return _mm256_cvtepi32_ps(_mm256_and_si256(one, _mm256_set1_epi32(15)));
  }
  STRATA_INLINE __m256 d(const Packed& p, int h) { return halves_to_floats(p.d, h); }
  STRATA_INLINE __m256 dmin(const Packed& p, int h) { return halves_to_floats(p.dmin, h); }
  STRATA_INLINE __m256i minima(const Packed& p, int i, int h) {
    return _mm256_srli_epi16(widen_pairs(p.scale[i], h), 4);
  }
};

struct WeightsQ3_K {
  using Packed = PackedQ3_K;
  static constexpr int kMost = 7, kOffset = 4, kUnroll = 4;
  using Form = FormOf<16, 4, kMost, kOffset, true, Minima::kNone>;
  STRATA_INLINE __m256i held(const Packed& p, int g, int u, int v, int h) {
    const __m256i low = _mm256_and_si256(shifted(pairs(p.low, g, v, h), -2 * u), _mm256_set1_epi8(3));
    const __m256i bits = shifted(load_half(p.high[(g + u) / 2], h), 2 - (u % 2 * 4 + v));
    return masked_or(bits, _mm256_set1_epi8(4), low);
  }
  STRATA_INLINE __m256 scale(const Packed& p, int g, int u, int h) {
    const __m256i low = _mm256_srli_epi32(widen_bytes(p.scale_low[(g + u) / 2], h), u % 2 * 4);
    const __m256i high = shifted(widen_bytes(p.scale_high[g / 4], h), 4 - 2 * u);
    const __m256i bits = masked_or(high, _mm256_set1_epi32(0x30), _mm256_and_si256(low, _mm256_set1_epi32(15)));
    return _mm256_cvtepi32_ps(_mm256_sub_epi32(bits, _mm256_set1_epi32(32)));
  }
  STRATA_INLINE __m256 d(const Packed& p, int h) { return halves_to_floats(p.d, h); }
};

struct WeightsQ4_K {
  using Packed = PackedQ4_K;
  static constexpr int kMost = 15, kOffset = 0, kUnroll = 1;
  using Form = FormOf<8, 8, kMost, kOffset, true, Minima::kWhole>;
  STRATA_INLINE __m256i held(const Packed& p, int g, int, int v, int h) { return nibbles(p.low[g], v, h); }
  STRATA_INLINE __m256 scale(const Packed& p, int g, int, int h) { return to_floats(p.scale[g], h); }
  STRATA_INLINE __m256 d(const Packed& p, int h) { return halves_to_floats(p.d, h); }
  STRATA_INLINE __m256 dmin(const Packed& p, int h) { return halves_to_floats(p.dmin, h); }
  STRATA_INLINE __m256i minima(const Packed& p, int i, int h) { return widen_pairs(p.min[i], h); }
};

struct WeightsQ5_K {
  using Packed = PackedQ5_K;
  static constexpr int kMost = 31, kOffset = 0, kUnroll = 1;
  using Form = FormOf<8, 8, kMost, kOffset, true, Minima::kWhole>;
  STRATA_INLINE __m256i held(const Packed& p, int g, int, int v, int h) { return five_bits(p.low[g], p.high[g], v, h); }
  STRATA_INLINE __m256 scale(const Packed& p, int g, int, int h) { return to_floats(p.scale[g], h); }
  STRATA_INLINE __m256 d(const Packed& p, int h) { return halves_to_floats(p.d, h); }
  STRATA_INLINE __m256 dmin(const Packed& p, int h) { return halves_to_floats(p.dmin, h); }
  STRATA_INLINE __m256i minima(const Packed& p, int i, int h) { return widen_pairs(p.min[i], h); }
};

struct WeightsQ6_K {
  using Packed = PackedQ6_K;
  static constexpr int kMost = 63, kOffset = 32, kUnroll = 4;
  using Form = FormOf<16, 4, kMost, kOffset, true, Minima::kNone>;
  STRATA_INLINE __m256i held(const Packed& p, int g, int u, int v, int h) {
    const __m256i high = shifted(pairs(p.high, g, v, h), 4 - 2 * u),
                  low = nibbles(p.low[(g + u) / 2], u % 2 * 4 + v, h);
    return masked_or(high, _mm256_set1_epi8(0x30), low);
  }
  STRATA_INLINE __m256 scale(const Packed& p, int g, int u, int h) { return to_floats(p.scale[g + u], h); }
  STRATA_INLINE __m256 d(const Packed& p, int h) { return halves_to_floats(p.d, h); }
};

struct WeightsIQ4_XS {
  using Packed = PackedIQ4_XS;
  static constexpr int kMost = kInt8, kOffset = 0, kUnroll = 1;
  using Form = FormOf<8, 8, kMost, kOffset, true, Minima::kNone>;
  STRATA_INLINE __m256i held(const Packed& p, int g, int, int v, int h) {
    return look_up(kIQ4Values, kOffset, nibbles(p.low[g], v, h));
  }
  STRATA_INLINE __m256 scale(const Packed& p, int g, int, int h) { return to_floats(p.scale[g], h); }
  STRATA_INLINE __m256 d(const Packed& p, int h) { return halves_to_floats(p.d, h); }
};

}  // namespace

constexpr MatmulFamily kMatmulQ2_K = quantized_family<WeightsQ2_K, DType::kActQ8>("q2_k.fma.1");
constexpr MatmulFamily kMatmulQ3_K = quantized_family<WeightsQ3_K, DType::kActQ8>("q3_k.fma.1");
constexpr MatmulFamily kMatmulQ4_K = quantized_family<WeightsQ4_K, DType::kActQ8>("q4_k.fma.1");
constexpr MatmulFamily kMatmulQ5_K = quantized_family<WeightsQ5_K, DType::kActQ8>("q5_k.fma.1");
constexpr MatmulFamily kMatmulQ6_K = quantized_family<WeightsQ6_K, DType::kActQ8>("q6_k.fma.1");
constexpr MatmulFamily kMatmulIQ4_XS = quantized_family<WeightsIQ4_XS, DType::kActQ8>("iq4_xs.fma.1");

}  // namespace strata::avx2
