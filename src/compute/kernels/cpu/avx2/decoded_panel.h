// The operands of one struct of 16 outputs: decoded into the first-level cache for many rows, or as they stand.
#pragma once

#include "compute/kernels/cpu/avx2/quantized_weights.h"

namespace strata::avx2 {

// Numbers have their sign here; an int8 is 16 * part 0 + part 1, with part 0 in -8 ... 8 and part 1 in -8 ... 7.
template <class F>
struct DecodedGroup {
  __m256i number[F::kGroups][F::kParts][F::kVectors][2];
  __m256i correction[F::kGroups][2];  // -128 sum w
  __m256 scale[F::kGroups][2];
  __m256 d[2], dmin[2];
  __m256 plain_minimum[F::kMinima == Minima::kPlain ? F::kGroups : 1][2];
  __m256i whole_minima[F::kMinima == Minima::kWhole ? F::kGroups / 2 : 1][2];  // pairs of int16
};

// The parts of numbers as they are held; returns the numbers with sign.
template <class W>
STRATA_INLINE __m256i decode_numbers(__m256i held, __m256i parts[W::Form::kParts]) {
  if constexpr (W::kMost != kInt8) {
    return parts[0] = W::kOffset == 0 ? held : _mm256_sub_epi8(held, _mm256_set1_epi8(W::kOffset));
  } else {
    const __m256i four_bits = _mm256_set1_epi8(15), eight = _mm256_set1_epi8(8);
    const __m256i low = _mm256_sub_epi8(_mm256_xor_si256(_mm256_and_si256(held, four_bits), eight), eight);
    // (w - low) / 16, in bytes and without overflow: the upper four bits, and one more where low is negative.
    const __m256i upper = _mm256_and_si256(_mm256_srli_epi16(held, 4), four_bits);
    const __m256i upper_with_sign = _mm256_sub_epi8(_mm256_xor_si256(upper, eight), eight);
    parts[0] = _mm256_sub_epi8(upper_with_sign, _mm256_cmpgt_epi8(_mm256_setzero_si256(), low));
    parts[1] = low;
    return held;
  }
}

template <class W>
STRATA_INLINE void decode_group(const typename W::Packed& p, DecodedGroup<typename W::Form>& out) {
  using F = typename W::Form;
  for (int g0 = 0; g0 < F::kGroups; g0 += W::kUnroll) {
    STRATA_UNROLL
    for (int u = 0; u < W::kUnroll; ++u) {
      const int g = g0 + u;
      STRATA_UNROLL
      for (int h = 0; h < 2; ++h) {
        __m256i sum = _mm256_setzero_si256();  // of pairs: at most 8 * 2 * 128
        STRATA_UNROLL
        for (int v = 0; v < F::kVectors; ++v) {
          __m256i parts[F::kParts];
          const __m256i w = decode_numbers<W>(W::held(p, g0, u, v, h), parts);
          STRATA_UNROLL
          for (int part = 0; part < F::kParts; ++part) out.number[g][part][v][h] = parts[part];
          sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(_mm256_set1_epi8(1), w));
        }
        out.correction[g][h] = _mm256_madd_epi16(sum, _mm256_set1_epi16(-128));
        out.scale[g][h] = W::scale(p, g0, u, h);
        if constexpr (F::kMinima == Minima::kPlain) out.plain_minimum[g][h] = W::minimum(p, g, h);
      }
    }
  }
  for (int h = 0; h < 2; ++h) {
    if constexpr (F::kHasD) out.d[h] = W::d(p, h);
    if constexpr (F::kMinima == Minima::kWhole) {
      out.dmin[h] = W::dmin(p, h);
      for (int i = 0; i < F::kGroups / 2; ++i) out.whole_minima[i][h] = W::minima(p, i, h);
    }
  }
}

// Where the arithmetic in fp32 takes its operands from; g0 and u as in quantized_weights.h.
template <class F>
struct FromPanel {
  using Form = F;
  const DecodedGroup<F>& w;
  STRATA_INLINE __m256 scale(const FromPanel& s, int g0, int u, int h) { return s.w.scale[g0 + u][h]; }
  STRATA_INLINE __m256 d(const FromPanel& s, int h) { return s.w.d[h]; }
  STRATA_INLINE __m256 dmin(const FromPanel& s, int h) { return s.w.dmin[h]; }
  STRATA_INLINE __m256 minimum(const FromPanel& s, int g, int h) { return s.w.plain_minimum[g][h]; }
  STRATA_INLINE __m256i minima(const FromPanel& s, int i, int h) { return s.w.whole_minima[i][h]; }
};
template <class W>
struct FromStruct {
  using Form = typename W::Form;
  const typename W::Packed& p;
  STRATA_INLINE __m256 scale(const FromStruct& s, int g0, int u, int h) { return W::scale(s.p, g0, u, h); }
  STRATA_INLINE __m256 d(const FromStruct& s, int h) { return W::d(s.p, h); }
  STRATA_INLINE __m256 dmin(const FromStruct& s, int h) { return W::dmin(s.p, h); }
  STRATA_INLINE __m256 minimum(const FromStruct& s, int g, int h) { return W::minimum(s.p, g, h); }
  STRATA_INLINE __m256i minima(const FromStruct& s, int i, int h) { return W::minima(s.p, i, h); }
};

}  // namespace strata::avx2
