// Quantized weights times int8 activations, by vpdpbusd; the arithmetic is that of kernels/reference/matmul.h.
//
// Weights are multiplied as codes without sign, x as int8: the sum over a group of numbers w = code - offset is
//   sum code x - offset sum x,
// and starts at the second term, which every row of x carries for its groups (activation.h). So decoding a weight takes
// no more than masking its bits, few rows do it in registers, and x is a word broadcast from memory.
//
// With whole scales the sums over two groups, as pairs of int16, are multiplied by vpdpwssd with the pair of scales:
// half the multiplications, which share their execution units with vpdpbusd; shifts and conversions do not.
#pragma once

#include "compute/kernels/activation.h"
#include "compute/kernels/cpu/avx512/quantized_weights.h"
#include "compute/kernels/cpu/matmul_split.h"
#include "compute/kernels/cpu_kernels.h"

namespace strata::avx512 {
namespace {

constexpr double kProductsPerNs = 400.0;

struct Sums {
  __m512 c[2];
};
STRATA_INLINE void store_columns(float* to, const Sums& sums, int64_t left) {
  _mm512_mask_storeu_ps(to, first_lanes(left), sums.c[0]);
  if (left > kLanes) _mm512_mask_storeu_ps(to + kLanes, first_lanes(left - kLanes), sums.c[1]);
}

// A struct of both groups of a panel, ready to be multiplied; codes have the offset 128, or none.
template <class F>
struct DecodedPanel {
  __m512i code[F::kGroups][F::kVectors][2];
  __m512 scale[F::kShift == kFloatScales ? F::kGroups : 1][2];
  __m512i scales[F::kShift == kFloatScales ? 1 : F::kGroups / 2][2];
  __m512 d[2], dmin[2];
  __m512 minimum[F::kMinima == Minima::kPlain ? F::kGroups : 1][2];
  __m512i minima[F::kMinima == Minima::kWhole ? F::kGroups / 2 : 1][2];
};

template <class W>
STRATA_INLINE const typename W::Packed& at(const PackedPanel<typename W::Packed>& panel, int64_t i, int c);
template <int kLines>
STRATA_INLINE void prefetch_beside(uintptr_t begin, int g);

template <class W>
STRATA_INLINE void decode_codes(const typename W::Packed& p, int c, DecodedPanel<typename W::Form>& out) {
  using F = typename W::Form;
  const __m512i more = _mm512_set1_epi8(static_cast<char>(F::kHasOffset ? kStartOffset - W::kOffset : 0));
  for (int g0 = 0; g0 < F::kGroups; g0 += W::kUnroll) {
    STRATA_UNROLL
    for (int u = 0; u < W::kUnroll; ++u) {
      STRATA_UNROLL
      for (int v = 0; v < F::kVectors; ++v) {
        const __m512i code = W::code(p, g0, u, v);
        out.code[g0 + u][v][c] =
            F::kHasOffset && W::kOffset != kStartOffset ? _mm512_add_epi8(code, more) : code;
      }
    }
  }
}

template <class W>
STRATA_INLINE void decode_panel(const PackedPanel<typename W::Packed>& weights, int64_t i,
                                DecodedPanel<typename W::Form>& out) {
  using F = typename W::Form;
  for (int c = 0; c < 2; ++c) {
    const typename W::Packed& p = at<W>(weights, i, c);
    decode_codes<W>(p, c, out);
    for (int g = 0; g < F::kGroups; ++g) {
      if constexpr (F::kShift == kFloatScales) out.scale[g][c] = W::scale(p, g);
      if constexpr (F::kMinima == Minima::kPlain) out.minimum[g][c] = W::minimum(p, g);
    }
    STRATA_UNROLL
    for (int j = 0; j < F::kGroups / 2; ++j) {
      if constexpr (F::kShift != kFloatScales) out.scales[j][c] = W::scales(p, j);
      if constexpr (F::kMinima == Minima::kWhole) out.minima[j][c] = W::minima(p, j);
    }
    if constexpr (F::kHasD) out.d[c] = W::d(p);
    if constexpr (F::kMinima == Minima::kWhole) out.dmin[c] = W::dmin(p);
  }
}

// Where add_struct takes its operands from: the decoded panel, or a struct of both groups.
template <class F, int kLines>
struct FromPanel {
  using Form = F;
  static constexpr int kUnroll = F::kVectors == 4 ? 4 : F::kTogether;
  static constexpr int kOffset = F::kHasOffset ? kStartOffset : 0;
  const DecodedPanel<F>* panel;
  uintptr_t ahead;
  STRATA_INLINE __m512i code(const FromPanel& s, int g, int u, int v, int c) { return s.panel->code[g + u][v][c]; }
  STRATA_INLINE __m512 scale(const FromPanel& s, int g, int c) { return s.panel->scale[g][c]; }
  STRATA_INLINE __m512i scales(const FromPanel& s, int i, int c) { return s.panel->scales[i][c]; }
  STRATA_INLINE __m512 d(const FromPanel& s, int c) { return s.panel->d[c]; }
  STRATA_INLINE __m512 dmin(const FromPanel& s, int c) { return s.panel->dmin[c]; }
  STRATA_INLINE __m512 minimum(const FromPanel& s, int g, int c) { return s.panel->minimum[g][c]; }
  STRATA_INLINE __m512i minima(const FromPanel& s, int i, int c) { return s.panel->minima[i][c]; }
  STRATA_INLINE void prefetch(const FromPanel& s, int g) { prefetch_beside<kLines>(s.ahead, g); }
};
template <class W, int kLines>
struct FromStructs {
  using Form = typename W::Form;
  static constexpr int kUnroll = W::kUnroll > Form::kTogether ? W::kUnroll : Form::kTogether;
  static constexpr int kOffset = W::kOffset;
  const typename W::Packed *first, *second;
  uintptr_t ahead;
  STRATA_INLINE const typename W::Packed& packed(const FromStructs& s, int c) { return c == 0 ? *s.first : *s.second; }
  STRATA_INLINE __m512i code(const FromStructs& s, int g, int u, int v, int c) {
    return W::kUnroll == 1 ? W::code(packed(s, c), g + u, 0, v) : W::code(packed(s, c), g, u, v);
  }
  STRATA_INLINE __m512 scale(const FromStructs& s, int g, int c) { return W::scale(packed(s, c), g); }
  STRATA_INLINE __m512i scales(const FromStructs& s, int i, int c) { return W::scales(packed(s, c), i); }
  STRATA_INLINE __m512 d(const FromStructs& s, int c) { return W::d(packed(s, c)); }
  STRATA_INLINE __m512 dmin(const FromStructs& s, int c) { return W::dmin(packed(s, c)); }
  STRATA_INLINE __m512 minimum(const FromStructs& s, int g, int c) { return W::minimum(packed(s, c), g); }
  STRATA_INLINE __m512i minima(const FromStructs& s, int i, int c) { return W::minima(packed(s, c), i); }
  STRATA_INLINE void prefetch(const FromStructs& s, int g) { prefetch_beside<kLines>(s.ahead, g); }
};

STRATA_INLINE __m512i broadcast_word(const void* p) {
  int32_t word;
  __builtin_memcpy(&word, p, 4);
  return _mm512_set1_epi32(word);
}
STRATA_INLINE __m512 broadcast_float(const void* p) { return _mm512_castsi512_ps(broadcast_word(p)); }
constexpr unsigned log2_of(int power) { return power <= 1 ? 0 : 1 + log2_of(power / 2); }

// What a sum over group g of the struct starts at: -offset times the sum of x, and the rounding of whole scales.
template <class Source>
STRATA_INLINE __m512i start_of(const int8_t* x, int64_t starts, int g, int rounded) {
  using F = typename Source::Form;
  const __m512i rest = _mm512_set1_epi32(rounded);
  if constexpr (!F::kHasOffset) return rest;
  const __m512i start = broadcast_word(x + starts + 4 * g);
  const __m512i own = Source::kOffset == kStartOffset
                          ? start
                          : _mm512_srai_epi32(start, log2_of(kStartOffset) - log2_of(Source::kOffset));
  return rounded == 0 ? own : _mm512_add_epi32(own, rest);
}

// dot[h][t][c] = the sum over group g + u + h, exact; kOddShift bits higher where h is 1.
template <class Source, int kRows>
STRATA_INLINE void multiply_groups(const Source& source, int g, int u, const int8_t* const x[kRows], int64_t starts,
                                   __m512i dot[Source::Form::kTogether][kRows][2]) {
  using F = typename Source::Form;
  STRATA_UNROLL
  for (int h = 0; h < F::kTogether; ++h) {
    const int rounded = F::kShift == kFloatScales ? 0 : rounding(F::kShift, h) << (h * F::kOddShift);
    STRATA_UNROLL
    for (int t = 0; t < kRows; ++t) dot[h][t][0] = dot[h][t][1] = start_of<Source>(x[t], starts, g + u + h, rounded);
    Source::prefetch(source, g + u + h);
  }
  // Few rows wait for memory: where groups share vectors they come in turn, so that the first one meets all lines of both.
  constexpr bool kInTurn = F::kOddShift > 0 && kRows <= 2;
  constexpr int kOuter = kInTurn ? F::kTogether : F::kVectors, kInner = kInTurn ? F::kVectors : F::kTogether;
  STRATA_UNROLL
  for (int outer = 0; outer < kOuter; ++outer) {
    STRATA_UNROLL
    for (int inner = 0; inner < kInner; ++inner) {
      const int v = kInTurn ? inner : outer, h = kInTurn ? outer : inner;
      const __m512i w[2] = {Source::code(source, g, u + h, v, 0), Source::code(source, g, u + h, v, 1)};
      STRATA_UNROLL
      for (int t = 0; t < kRows; ++t) {
        const __m512i word = broadcast_word(x[t] + ((g + u + h) * F::kVectors + v) * 4);
        STRATA_UNROLL
        for (int c = 0; c < 2; ++c) dot[h][t][c] = _mm512_dpbusd_epi32(dot[h][t][c], w[c], word);
      }
    }
  }
}

// s[t][c] += scale * dot.
template <class Source, int kRows>
STRATA_INLINE void add_scaled(const Source& source, int g, const __m512i dot[1][kRows][2], __m512 s[kRows][2]) {
  STRATA_UNROLL
  for (int c = 0; c < 2; ++c) {
    const __m512 scale = Source::scale(source, g, c);
    STRATA_UNROLL
    for (int t = 0; t < kRows; ++t) s[t][c] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot[0][t][c]), scale, s[t][c]);
  }
}
// The same for a pair of groups in whole numbers.
template <class Source, int kRows>
STRATA_INLINE void add_scaled(const Source& source, int g, const __m512i dot[2][kRows][2], __m512i s[kRows][2]) {
  constexpr int kShift = Source::Form::kShift;
  STRATA_UNROLL
  for (int c = 0; c < 2; ++c) {
    const __m512i scales = Source::scales(source, g / 2, c);
    STRATA_UNROLL
    for (int t = 0; t < kRows; ++t) {
      const __m512i low = kShift == 0 ? dot[0][t][c] : _mm512_srli_epi32(dot[0][t][c], kShift);
      const __m512i high = _mm512_slli_epi32(dot[1][t][c], 16 - kShift - Source::Form::kOddShift);
      s[t][c] = _mm512_dpwssd_epi32(s[t][c], _mm512_mask_blend_epi16(0xaaaaaaaa, low, high), scales);
    }
  }
}

// y[t] += s with its factors, fp32 scales; and what plain minima add.
template <class Source, int kRows>
STRATA_INLINE void add_factors(const Source& source, const int8_t* const x[kRows], const StructParts& at,
                               const __m512 s[kRows][2], Sums* y) {
  using F = typename Source::Form;
  STRATA_UNROLL
  for (int c = 0; c < 2; ++c) {
    STRATA_UNROLL
    for (int t = 0; t < kRows; ++t) {
      const __m512 a = broadcast_float(x[t] + at.scale);
      __m512 factor = a;
      if constexpr (F::kHasD) factor = _mm512_mul_ps(Source::d(source, c), a);
      __m512 sum = _mm512_fmadd_ps(s[t][c], factor, y[t].c[c]);
      if constexpr (F::kMinima == Minima::kPlain) {
        __m512 m = _mm512_setzero_ps();
        STRATA_UNROLL
        for (int g = 0; g < F::kGroups; ++g) {
          const __m512 start = _mm512_cvtepi32_ps(broadcast_word(x[t] + at.starts + 4 * g));
          const __m512 x_sum = _mm512_mul_ps(start, _mm512_set1_ps(-1.0f / kStartOffset));  // exact
          m = _mm512_fmadd_ps(x_sum, Source::minimum(source, g, c), m);
        }
        sum = _mm512_fmadd_ps(m, a, sum);
      }
      y[t].c[c] = sum;
    }
  }
}
// The same for whole scales, and whole minima.
template <class Source, int kRows>
STRATA_INLINE void add_factors(const Source& source, const int8_t* const x[kRows], const StructParts& at,
                               const __m512i s[kRows][2], Sums* y) {
  using F = typename Source::Form;
  STRATA_UNROLL
  for (int c = 0; c < 2; ++c) {
    const __m512 d = _mm512_mul_ps(Source::d(source, c), _mm512_set1_ps(1 << F::kShift));
    __m512i m[kRows];
    if constexpr (F::kMinima == Minima::kWhole) {
      STRATA_UNROLL
      for (int j = 0; j < F::kGroups / 2; ++j) {
        const __m512i minima = Source::minima(source, j, c);
        STRATA_UNROLL
        for (int t = 0; t < kRows; ++t) {
          const __m512i x_sums = broadcast_word(x[t] + at.sums + 4 * j);
          m[t] = _mm512_dpwssd_epi32(j == 0 ? _mm512_setzero_si512() : m[t], minima, x_sums);
        }
      }
    }
    STRATA_UNROLL
    for (int t = 0; t < kRows; ++t) {
      const __m512 sum = _mm512_cvtepi32_ps(s[t][c]);
      __m512 factor;
      if constexpr (F::kMinima == Minima::kWhole) {
        factor = _mm512_fmsub_ps(sum, d, _mm512_mul_ps(_mm512_cvtepi32_ps(m[t]), Source::dmin(source, c)));
      } else {
        factor = _mm512_mul_ps(sum, d);
      }
      y[t].c[c] = _mm512_fmadd_ps(factor, broadcast_float(x[t] + at.scale), y[t].c[c]);
    }
  }
}

STRATA_INLINE void set_zero(__m512& sum) { sum = _mm512_setzero_ps(); }
STRATA_INLINE void set_zero(__m512i& sum) { sum = _mm512_setzero_si512(); }
template <int kShift>
struct StructSum {
  __m512i sum;
};
template <>
struct StructSum<kFloatScales> {
  __m512 sum;
};

// y[t] += struct i times x.
template <class Source, int kRows>
STRATA_INLINE void add_struct(const Source& source, int64_t i, const int8_t* const* rows, const ActivationParts& parts,
                              Sums* y) {
  using F = typename Source::Form;
  constexpr int kSpan = F::kGroups * F::kVectors * 4;
  const StructParts at = struct_parts(parts, i, kSpan, F::kVectors * 4);
  const int8_t* x[kRows];
  decltype(StructSum<F::kShift>::sum) s[kRows][2];
  STRATA_UNROLL
  for (int t = 0; t < kRows; ++t) {
    x[t] = rows[t] + i * kSpan;
    set_zero(s[t][0]);
    set_zero(s[t][1]);
  }
  for (int g = 0; g < F::kGroups; g += Source::kUnroll) {
    STRATA_UNROLL
    for (int u = 0; u < Source::kUnroll; u += F::kTogether) {
      __m512i dot[F::kTogether][kRows][2];
      multiply_groups<Source, kRows>(source, g, u, x, at.starts, dot);
      add_scaled<Source, kRows>(source, g + u, dot, s);
    }
  }
  add_factors<Source, kRows>(source, x, at, s, y);
}

#include "compute/kernels/cpu/lanes/matmul_quantized.inl"

}  // namespace
}  // namespace strata::avx512
