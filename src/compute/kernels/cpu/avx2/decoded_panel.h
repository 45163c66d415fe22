// The operands of one struct of both groups of a panel: decoded into the first-level cache for many rows, or as they
// stand.
#pragma once

#include "compute/kernels/cpu/avx2/quantized_weights.h"

namespace strata::avx2 {

// Codes of eight bits are 16 * part 0 + part 1.
template <class F>
struct DecodedGroup {
  __m256i code[F::kGroups][F::kParts][F::kVectors][2];
  __m256 scale[F::kShift == kFloatScales ? F::kGroups : 1][2];
  __m256i scales[F::kShift == kFloatScales ? 1 : F::kGroups / 2][2];
  __m256 d[2], dmin[2];
  __m256 minimum[F::kMinima == Minima::kPlain ? F::kGroups : 1][2];
  __m256i minima[F::kMinima == Minima::kWhole ? F::kGroups / 2 : 1][2];
};
template <class F>
struct DecodedPanel {
  DecodedGroup<F> group[2];
};

template <class F>
STRATA_INLINE void split_code(__m256i code, __m256i parts[F::kParts]) {
  const __m256i four_bits = _mm256_set1_epi8(15);
  if constexpr (F::kParts == 1) {
    parts[0] = code;
  } else {
    parts[0] = _mm256_and_si256(_mm256_srli_epi16(code, 4), four_bits);
    parts[1] = _mm256_and_si256(code, four_bits);
  }
}

template <class W>
STRATA_INLINE void decode_group(const typename W::Packed& p, DecodedGroup<typename W::Form>& out) {
  using F = typename W::Form;
  for (int g0 = 0; g0 < F::kGroups; g0 += W::kUnroll) {
    STRATA_UNROLL
    for (int u = 0; u < W::kUnroll; ++u) {
      STRATA_UNROLL
      for (int v = 0; v < F::kVectors; ++v) {
        STRATA_UNROLL
        for (int h = 0; h < 2; ++h) {
          __m256i parts[F::kParts];
          split_code<F>(W::code(p, g0, u, v, h), parts);
          STRATA_UNROLL
          for (int part = 0; part < F::kParts; ++part) out.code[g0 + u][part][v][h] = parts[part];
        }
      }
    }
  }
  for (int h = 0; h < 2; ++h) {
    for (int g = 0; g < F::kGroups; ++g) {
      if constexpr (F::kShift == kFloatScales) out.scale[g][h] = W::scale(p, g, h);
      if constexpr (F::kMinima == Minima::kPlain) out.minimum[g][h] = W::minimum(p, g, h);
    }
    STRATA_UNROLL
    for (int i = 0; i < F::kGroups / 2; ++i) {
      if constexpr (F::kShift != kFloatScales) out.scales[i][h] = W::scales(p, i, h);
      if constexpr (F::kMinima == Minima::kWhole) out.minima[i][h] = W::minima(p, i, h);
    }
    if constexpr (F::kHasD) out.d[h] = W::d(p, h);
    if constexpr (F::kMinima == Minima::kWhole) out.dmin[h] = W::dmin(p, h);
  }
}

// Where one group's product takes its operands from; g0 and u as in quantized_weights.h, vectors in parts.
template <class F>
struct FromDecodedGroup {
  using Form = F;
  static constexpr int kUnroll = F::kTogether, kParts = F::kParts, kChunk = F::kChunk;
  static constexpr bool kHasSign = false;
  const DecodedGroup<F>& w;
  STRATA_INLINE __m256i code(const FromDecodedGroup& s, int g0, int u, int part, int v, int h) {
    return s.w.code[g0 + u][part][v][h];
  }
  STRATA_INLINE __m256 scale(const FromDecodedGroup& s, int g, int h) { return s.w.scale[g][h]; }
  STRATA_INLINE __m256i scales(const FromDecodedGroup& s, int i, int h) { return s.w.scales[i][h]; }
  STRATA_INLINE __m256 d(const FromDecodedGroup& s, int h) { return s.w.d[h]; }
  STRATA_INLINE __m256 dmin(const FromDecodedGroup& s, int h) { return s.w.dmin[h]; }
  STRATA_INLINE __m256 minimum(const FromDecodedGroup& s, int g, int h) { return s.w.minimum[g][h]; }
  STRATA_INLINE __m256i minima(const FromDecodedGroup& s, int i, int h) { return s.w.minima[i][h]; }
};
// Codes of eight bits are multiplied as numbers with sign here: sum |w| (x with the sign of w).
template <class W>
struct FromStruct {
  using Form = typename W::Form;
  static constexpr int kUnroll = W::kUnroll > Form::kTogether ? W::kUnroll : Form::kTogether, kParts = 1;
  static constexpr bool kHasSign = W::kMost == kByte;
  static constexpr int kChunk = vectors_in_int16(Form::kVectors, 127 * (kHasSign ? 128 : W::kMost));
  const typename W::Packed& p;
  STRATA_INLINE __m256i code(const FromStruct& s, int g0, int u, int, int v, int h) {
    return W::kUnroll == 1 ? W::code(s.p, g0 + u, 0, v, h) : W::code(s.p, g0, u, v, h);
  }
  STRATA_INLINE __m256 scale(const FromStruct& s, int g, int h) { return W::scale(s.p, g, h); }
  STRATA_INLINE __m256i scales(const FromStruct& s, int i, int h) { return W::scales(s.p, i, h); }
  STRATA_INLINE __m256 d(const FromStruct& s, int h) { return W::d(s.p, h); }
  STRATA_INLINE __m256 dmin(const FromStruct& s, int h) { return W::dmin(s.p, h); }
  STRATA_INLINE __m256 minimum(const FromStruct& s, int g, int h) { return W::minimum(s.p, g, h); }
  STRATA_INLINE __m256i minima(const FromStruct& s, int i, int h) { return W::minima(s.p, i, h); }
};

}  // namespace strata::avx2
