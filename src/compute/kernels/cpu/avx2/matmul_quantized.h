// Quantized weights times int8 activations without VNNI; the arithmetic is that of kernels/reference/matmul.h: sums of
// whole numbers are exact, so any way to add them gives the same bits.
//
// The multiplication is vpmaddubsw: 32 products of a code without sign and an x with sign, added in pairs into int16
// with saturation, so no pair may leave int16. As long as their sum cannot leave it either, pairs of several vectors
// are added as int16 before vpmaddwd brings them into int32. How many follows from the largest codes
// (vectors_in_int16). The sum over a group of numbers w = code - offset is  sum code x - offset sum x,  and starts at
// the second term, which every row of x carries for its groups (activation.h).
//
// Codes of eight bits are too large for any pair. Decoded for many rows they are two parts of four bits; few rows,
// which decode in registers, multiply |w| with x that takes the sign of w, where |w| <= 128.
#pragma once

#include "compute/kernels/activation.h"
#include "compute/kernels/cpu/avx2/decoded_panel.h"
#include "compute/kernels/cpu/matmul_split.h"
#include "compute/kernels/cpu_kernels.h"

namespace strata::avx2 {
namespace {

constexpr double kProductsPerNs = 150.0;

struct Sums {
  __m256 c[4];
};
STRATA_INLINE void store_columns(float* to, const Sums& sums, int64_t left) {
  store_first(to, {sums.c[0], sums.c[1]}, left);
  if (left > kLanes) store_first(to + kLanes, {sums.c[2], sums.c[3]}, left - kLanes);
}

template <class W>
STRATA_INLINE const typename W::Packed& at(const PackedPanel<typename W::Packed>& panel, int64_t i, int c);
template <int kLines>
STRATA_INLINE void prefetch_beside(uintptr_t begin, int g);

template <class W>
STRATA_INLINE void decode_panel(const PackedPanel<typename W::Packed>& weights, int64_t i,
                                DecodedPanel<typename W::Form>& out) {
  for (int c = 0; c < 2; ++c) decode_group<W>(at<W>(weights, i, c), out.group[c]);
}

// Where add_struct takes its operands from: the groups of the decoded panel, or a struct of both groups.
template <class F, int kLines>
struct FromPanel {
  using Form = F;
  const DecodedPanel<F>* panel;
  uintptr_t ahead;
  STRATA_INLINE FromDecodedGroup<F> group(const FromPanel& s, int c) { return {s.panel->group[c]}; }
  STRATA_INLINE void prefetch(const FromPanel& s, int c, int g) {
    if (c == 0) prefetch_beside<kLines>(s.ahead, g);
  }
};
template <class W, int kLines>
struct FromStructs {
  using Form = typename W::Form;
  const typename W::Packed *first, *second;
  uintptr_t ahead;
  STRATA_INLINE FromStruct<W> group(const FromStructs& s, int c) { return {c == 0 ? *s.first : *s.second}; }
  STRATA_INLINE void prefetch(const FromStructs& s, int c, int g) {
    if (c == 0) prefetch_beside<kLines>(s.ahead, g);
  }
};

// a, which is a sum and stays one summand of the next: in another order the compiler would need more registers than
// there are.
STRATA_INLINE __m256i in_this_order(__m256i a) {
  asm("" : "+x"(a));
  return a;
}

STRATA_INLINE __m256i broadcast_word(const void* p) {
  int32_t word;
  __builtin_memcpy(&word, p, 4);
  return _mm256_set1_epi32(word);
}
STRATA_INLINE __m256 broadcast_float(const void* p) { return _mm256_castsi256_ps(broadcast_word(p)); }
constexpr int log2_of(int power) { return power <= 1 ? 0 : 1 + log2_of(power / 2); }

// What a sum over group g of the struct starts at: -offset times the sum of x, and the rounding of whole scales.
template <class Group>
STRATA_INLINE __m256i start_of(const int8_t* x, int64_t starts, int g, int rounded) {
  using F = typename Group::Form;
  const __m256i rest = _mm256_set1_epi32(rounded);
  if constexpr (F::kOffset == 0 || Group::kHasSign) return rest;
  const __m256i start = broadcast_word(x + starts + 4 * g);
  const __m256i own = F::kOffset == kStartOffset
                          ? start
                          : _mm256_srai_epi32(start, log2_of(kStartOffset) - log2_of(F::kOffset));
  return rounded == 0 ? own : _mm256_add_epi32(own, rest);
}

template <class Group>
STRATA_INLINE __m256i multiply(__m256i code, __m256i x) {
  if constexpr (!Group::kHasSign) return _mm256_maddubs_epi16(code, x);
  const __m256i w = _mm256_xor_si256(code, _mm256_set1_epi8(-128));
  return _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w));
}

// dot[t][h] = the sum over group g0 + u, exact; x[t] is the row's first number of the struct.
template <class Group, int kRows>
STRATA_INLINE void multiply_group(const Group& w, int g0, int u, const int8_t* const x[kRows], int64_t starts,
                                  __m256i dot[kRows][2]) {
  using F = typename Group::Form;
  constexpr int kChunk = Group::kChunk;
  const int g = g0 + u, rounded = F::kShift == kFloatScales ? 0 : rounding(F::kShift, u);
  STRATA_UNROLL
  for (int part = 0; part < Group::kParts; ++part) {
    asm("" ::: "memory");  // x is read again for each part: there are no registers to keep it in
    STRATA_UNROLL
    for (int v0 = 0; v0 < F::kVectors; v0 += kChunk) {
      __m256i sum[kRows][2];
      STRATA_UNROLL
      for (int v = v0; v < v0 + kChunk; ++v) {
        const __m256i code[2] = {Group::code(w, g0, u, part, v, 0), Group::code(w, g0, u, part, v, 1)};
        STRATA_UNROLL
        for (int t = 0; t < kRows; ++t) {
          const __m256i word = broadcast_word(x[t] + (g * F::kVectors + v) * 4);
          STRATA_UNROLL
          for (int h = 0; h < 2; ++h) {
            const __m256i product = multiply<Group>(code[h], word);
            sum[t][h] = in_this_order(v == v0 ? product : _mm256_add_epi16(sum[t][h], product));
          }
        }
      }
      const __m256i factor = _mm256_set1_epi16(Group::kParts == 2 && part == 0 ? 16 : 1);
      STRATA_UNROLL
      for (int t = 0; t < kRows; ++t) {
        STRATA_UNROLL
        for (int h = 0; h < 2; ++h) {
          const __m256i before = part == 0 && v0 == 0 ? start_of<Group>(x[t], starts, g, rounded) : dot[t][h];
          dot[t][h] = _mm256_add_epi32(before, _mm256_madd_epi16(sum[t][h], factor));
        }
      }
    }
  }
}

// s[t] += scale of group g * dot.
template <class Group, int kRows>
STRATA_INLINE void add_scaled(const Group& w, int g, const __m256i dot[1][kRows][2], __m256 s[kRows][2]) {
  STRATA_UNROLL
  for (int h = 0; h < 2; ++h) {
    const __m256 scale = Group::scale(w, g, h);
    STRATA_UNROLL
    for (int t = 0; t < kRows; ++t) s[t][h] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot[0][t][h]), scale, s[t][h]);
  }
}
// The same for a pair of groups in whole numbers.
template <class Group, int kRows>
STRATA_INLINE void add_scaled(const Group& w, int g, const __m256i dot[2][kRows][2], __m256i s[kRows][2]) {
  constexpr int kShift = Group::Form::kShift;
  STRATA_UNROLL
  for (int h = 0; h < 2; ++h) {
    const __m256i scales = Group::scales(w, g / 2, h);
    STRATA_UNROLL
    for (int t = 0; t < kRows; ++t) {
      const __m256i low = kShift == 0 ? dot[0][t][h] : _mm256_srli_epi32(dot[0][t][h], kShift);
      const __m256i high = _mm256_slli_epi32(dot[1][t][h], 16 - kShift);
      const __m256i pairs = _mm256_blend_epi16(low, high, 0xaa);
      s[t][h] = _mm256_add_epi32(s[t][h], _mm256_madd_epi16(pairs, scales));
    }
  }
}

// y[t][2 c + h] += s with its factors, fp32 scales; and what plain minima add.
template <class Group, int kRows>
STRATA_INLINE void add_factors(const Group& w, int c, const int8_t* const x[kRows], const StructParts& at,
                               const __m256 s[kRows][2], Sums* y) {
  using F = typename Group::Form;
  STRATA_UNROLL
  for (int t = 0; t < kRows; ++t) {
    const __m256 a = broadcast_float(x[t] + at.scale);
    STRATA_UNROLL
    for (int h = 0; h < 2; ++h) {
      __m256 factor = a;
      if constexpr (F::kHasD) factor = _mm256_mul_ps(Group::d(w, h), a);
      y[t].c[2 * c + h] = _mm256_fmadd_ps(s[t][h], factor, y[t].c[2 * c + h]);
    }
    if constexpr (F::kMinima == Minima::kPlain) {
      __m256 m[2] = {_mm256_setzero_ps(), _mm256_setzero_ps()};
      STRATA_UNROLL
      for (int g = 0; g < F::kGroups; ++g) {
        const __m256 start = _mm256_cvtepi32_ps(broadcast_word(x[t] + at.starts + 4 * g));
        const __m256 x_sum = _mm256_mul_ps(start, _mm256_set1_ps(-1.0f / kStartOffset));  // exact
        STRATA_UNROLL
        for (int h = 0; h < 2; ++h) m[h] = _mm256_fmadd_ps(x_sum, Group::minimum(w, g, h), m[h]);
      }
      STRATA_UNROLL
      for (int h = 0; h < 2; ++h) y[t].c[2 * c + h] = _mm256_fmadd_ps(m[h], a, y[t].c[2 * c + h]);
    }
  }
}
// The same for whole scales, and whole minima.
template <class Group, int kRows>
STRATA_INLINE void add_factors(const Group& w, int c, const int8_t* const x[kRows], const StructParts& at,
                               const __m256i s[kRows][2], Sums* y) {
  using F = typename Group::Form;
  STRATA_UNROLL
  for (int h = 0; h < 2; ++h) {
    const __m256 d = _mm256_mul_ps(Group::d(w, h), _mm256_set1_ps(1 << F::kShift));
    __m256i m[kRows];
    if constexpr (F::kMinima == Minima::kWhole) {
      STRATA_UNROLL
      for (int j = 0; j < F::kGroups / 2; ++j) {
        const __m256i minima = Group::minima(w, j, h);
        STRATA_UNROLL
        for (int t = 0; t < kRows; ++t) {
          const __m256i product = _mm256_madd_epi16(minima, broadcast_word(x[t] + at.sums + 4 * j));
          m[t] = j == 0 ? product : _mm256_add_epi32(m[t], product);
        }
      }
    }
    STRATA_UNROLL
    for (int t = 0; t < kRows; ++t) {
      const __m256 sum = _mm256_cvtepi32_ps(s[t][h]);
      __m256 factor;
      if constexpr (F::kMinima == Minima::kWhole) {
        factor = _mm256_fmsub_ps(sum, d, _mm256_mul_ps(_mm256_cvtepi32_ps(m[t]), Group::dmin(w, h)));
      } else {
        factor = _mm256_mul_ps(sum, d);
      }
      y[t].c[2 * c + h] = _mm256_fmadd_ps(factor, broadcast_float(x[t] + at.scale), y[t].c[2 * c + h]);
    }
  }
}

STRATA_INLINE void set_zero(__m256& sum) { sum = _mm256_setzero_ps(); }
STRATA_INLINE void set_zero(__m256i& sum) { sum = _mm256_setzero_si256(); }
template <int kShift>
struct StructSum {
  __m256i sum;
};
template <>
struct StructSum<kFloatScales> {
  __m256 sum;
};

// y[t] += struct i times x.
template <class Source, int kRows>
STRATA_INLINE void add_struct(const Source& source, int64_t i, const int8_t* const* rows, const ActivationParts& parts,
                              Sums* y) {
  using F = typename Source::Form;
  constexpr int kSpan = F::kGroups * F::kVectors * 4;
  const StructParts at = struct_parts(parts, i, kSpan, F::kVectors * 4);
  const int8_t* x[kRows];
  STRATA_UNROLL
  for (int t = 0; t < kRows; ++t) x[t] = rows[t] + i * kSpan;
  for (int c = 0; c < 2; ++c) {
    const auto w = Source::group(source, c);
    using Group = decltype(Source::group(source, c));
    decltype(StructSum<F::kShift>::sum) s[kRows][2];
    STRATA_UNROLL
    for (int t = 0; t < kRows; ++t) {
      set_zero(s[t][0]);
      set_zero(s[t][1]);
    }
    for (int g0 = 0; g0 < F::kGroups; g0 += Group::kUnroll) {
      STRATA_UNROLL
      for (int u = 0; u < Group::kUnroll; u += F::kTogether) {
        __m256i dot[F::kTogether][kRows][2];
        STRATA_UNROLL
        for (int together = 0; together < F::kTogether; ++together) {
          Source::prefetch(source, c, g0 + u + together);
          multiply_group<Group, kRows>(w, g0, u + together, x, at.starts, dot[together]);
        }
        add_scaled<Group, kRows>(w, g0 + u, dot, s);
      }
    }
    add_factors<Group, kRows>(w, c, x, at, s, y);
  }
}

#include "compute/kernels/cpu/lanes/matmul_quantized.inl"

}  // namespace
}  // namespace strata::avx2
