// Blocks of 256 numbers.
#include "compute/kernels/cpu/avx2/families.h"
#include "compute/kernels/cpu/avx2/matmul_quantized.h"

namespace strata::avx2 {
namespace {

// Vector v (0-3) of group g + u of 16 numbers in pairs of bits; the other bits are those of other groups.
STRATA_INLINE __m256i pairs(const uint8_t vectors[4][4][64], int g, int v, int h) {
  return load_half(vectors[g / 4][v], h);
}

struct WeightsQ2_K {
  using Packed = PackedQ2_K;
  static constexpr int kMost = 3, kOffset = 0, kUnroll = 4, kDirectRows = 3;
  using Form = FormOf<16, 4, kMost, kOffset, true, Minima::kWhole, dot_shift(DType::kQ2_K)>;
  STRATA_INLINE __m256i code(const Packed& p, int g, int u, int v, int h) {
    return _mm256_and_si256(shifted(pairs(p.low, g, v, h), -2 * u), _mm256_set1_epi8(3));
  }
  STRATA_INLINE __m256i scales(const Packed& p, int i, int h) {
    return _mm256_and_si256(widen_pairs(p.scale[i], h), _mm256_set1_epi16(15));
  }
  STRATA_INLINE __m256 d(const Packed& p, int h) { return halves_to_floats(p.d, h); }
  STRATA_INLINE __m256 dmin(const Packed& p, int h) { return halves_to_floats(p.dmin, h); }
  STRATA_INLINE __m256i minima(const Packed& p, int i, int h) {
    return _mm256_srli_epi16(widen_pairs(p.scale[i], h), 4);
  }
};

struct WeightsQ3_K {
  using Packed = PackedQ3_K;
  static constexpr int kMost = 7, kOffset = 4, kUnroll = 4, kDirectRows = 3;
  using Form = FormOf<16, 4, kMost, kOffset, true, Minima::kNone, dot_shift(DType::kQ3_K)>;
  STRATA_INLINE __m256i code(const Packed& p, int g, int u, int v, int h) {
    const __m256i low = _mm256_and_si256(shifted(pairs(p.low, g, v, h), -2 * u), _mm256_set1_epi8(3));
    const __m256i bits = shifted(load_half(p.high[(g + u) / 2], h), 2 - (u % 2 * 4 + v));
    return masked_or(bits, _mm256_set1_epi8(4), low);
  }
  STRATA_INLINE __m256i scales(const Packed& p, int i, int h) {
    const __m256i both = widen_bytes(p.scale_low[i], h);  // four bits and four: 12 bits further they are in both int16
    const __m256i low = _mm256_and_si256(_mm256_or_si256(both, _mm256_slli_epi32(both, 12)), _mm256_set1_epi16(15));
    const __m256i four = _mm256_srli_epi32(widen_bytes(p.scale_high[i / 2], h), i % 2 * 4);
    const __m256i high = _mm256_or_si256(_mm256_slli_epi32(four, 4), _mm256_slli_epi32(four, 18));
    return _mm256_sub_epi16(masked_or(high, _mm256_set1_epi16(0x30), low), _mm256_set1_epi16(32));
  }
  STRATA_INLINE __m256 d(const Packed& p, int h) { return halves_to_floats(p.d, h); }
};

struct WeightsQ4_K {
  using Packed = PackedQ4_K;
  static constexpr int kMost = 15, kOffset = 0, kUnroll = 2, kDirectRows = 3;
  using Form = FormOf<8, 8, kMost, kOffset, true, Minima::kWhole, dot_shift(DType::kQ4_K)>;
  STRATA_INLINE __m256i code(const Packed& p, int g, int u, int v, int h) {
    return _mm256_and_si256(shifted(load_half(p.low[g / 2][v], h), -4 * u), _mm256_set1_epi8(15));
  }
  STRATA_INLINE __m256i scales(const Packed& p, int i, int h) { return widen_pairs(p.scale[i], h); }
  STRATA_INLINE __m256 d(const Packed& p, int h) { return halves_to_floats(p.d, h); }
  STRATA_INLINE __m256 dmin(const Packed& p, int h) { return halves_to_floats(p.dmin, h); }
  STRATA_INLINE __m256i minima(const Packed& p, int i, int h) { return widen_pairs(p.min[i], h); }
};

struct WeightsQ5_K {
  using Packed = PackedQ5_K;
  static constexpr int kMost = 31, kOffset = 0, kUnroll = 1, kDirectRows = 3;
  using Form = FormOf<8, 8, kMost, kOffset, true, Minima::kWhole, dot_shift(DType::kQ5_K)>;
  STRATA_INLINE __m256i code(const Packed& p, int g, int, int v, int h) { return five_bits(p.low[g], p.high[g], v, h); }
  STRATA_INLINE __m256i scales(const Packed& p, int i, int h) { return widen_pairs(p.scale[i], h); }
  STRATA_INLINE __m256 d(const Packed& p, int h) { return halves_to_floats(p.d, h); }
  STRATA_INLINE __m256 dmin(const Packed& p, int h) { return halves_to_floats(p.dmin, h); }
  STRATA_INLINE __m256i minima(const Packed& p, int i, int h) { return widen_pairs(p.min[i], h); }
};

struct WeightsQ6_K {
  using Packed = PackedQ6_K;
  static constexpr int kMost = 63, kOffset = 32, kUnroll = 4, kDirectRows = 3;
  using Form = FormOf<16, 4, kMost, kOffset, true, Minima::kNone, dot_shift(DType::kQ6_K)>;
  STRATA_INLINE __m256i code(const Packed& p, int g, int u, int v, int h) {
    const __m256i high = shifted(pairs(p.high, g, v, h), 4 - 2 * u),
                  low = nibbles(p.low[(g + u) / 2], u % 2 * 4 + v, h);
    return masked_or(high, _mm256_set1_epi8(0x30), low);
  }
  STRATA_INLINE __m256i scales(const Packed& p, int i, int h) { return widen_pairs(p.scale[i], h); }
  STRATA_INLINE __m256 d(const Packed& p, int h) { return halves_to_floats(p.d, h); }
};

struct WeightsIQ4_XS {
  using Packed = PackedIQ4_XS;
  static constexpr int kMost = kByte, kOffset = 128, kUnroll = 1, kDirectRows = 3;
  using Form = FormOf<8, 8, kMost, kOffset, true, Minima::kNone, dot_shift(DType::kIQ4_XS)>;
  STRATA_INLINE __m256i code(const Packed& p, int g, int, int v, int h) {
    return look_up(kIQ4Values, kOffset, nibbles(p.low[g], v, h));
  }
  STRATA_INLINE __m256 scale(const Packed& p, int g, int h) { return to_floats(p.scale[g], h); }
  STRATA_INLINE __m256 d(const Packed& p, int h) { return halves_to_floats(p.d, h); }
};

}  // namespace

constexpr MatmulFamily kMatmulQ2_K = quantized_family<WeightsQ2_K, DType::kActQ8>("q2_k.pairs.1");
constexpr MatmulFamily kMatmulQ3_K = quantized_family<WeightsQ3_K, DType::kActQ8>("q3_k.pairs.1");
constexpr MatmulFamily kMatmulQ4_K = quantized_family<WeightsQ4_K, DType::kActQ8>("q4_k.pairs.1");
constexpr MatmulFamily kMatmulQ5_K = quantized_family<WeightsQ5_K, DType::kActQ8>("q5_k.pairs.1");
constexpr MatmulFamily kMatmulQ6_K = quantized_family<WeightsQ6_K, DType::kActQ8>("q6_k.pairs.1");
constexpr MatmulFamily kMatmulIQ4_XS = quantized_family<WeightsIQ4_XS, DType::kActQ8>("iq4_xs.fma.1");

}  // namespace strata::avx2
