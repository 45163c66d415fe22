// Sixteen floats in one AVX-512 register: the vocabulary in which kernels/cpu/lanes/*.inl are written. Every function
// is `static inline` in this namespace: nothing compiled with AVX-512 flags may be shared with other units.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "compute/kernels/cpu/bfloat.h"
#include "compute/kernels/cpu/inlining.h"
#include "compute/tensor/half.h"

namespace strata::avx512 {

inline constexpr int kLanes = 16;
// Register tile of attention: rows of q that share a load of K and V. 8 rows x 2 vectors fill 16 of 32 registers.
inline constexpr int kMaxTileRows = 8;
constexpr int tile_vectors(int rows) { return rows >= 8 ? 2 : 4; }
// Register tile of the products of rows (outer_products.inl): the sums fill 24 of 32 registers.
inline constexpr int kProductRows = 12;
inline constexpr int kProductVectors = 2;
// Reading binary16 costs an instruction or two; where it does not, attention widens a step of K and V once.
inline constexpr bool kHalfIsCheap = true;
// vdpbf16ps: attention over a cache of BF16 multiplies words of two numbers. Units built without it (avx512vnni) widen
// them: the constant is of each unit.
#ifdef __AVX512BF16__
static constexpr bool kBFloatInPairs = true;
#else
static constexpr bool kBFloatInPairs = false;
#endif

struct Lanes {
  __m512 v;
};
using LaneMask = __mmask16;

STRATA_INLINE LaneMask first_lanes(int64_t n) {
  return n >= kLanes ? static_cast<LaneMask>(0xffff) : static_cast<LaneMask>((1u << n) - 1u);
}

STRATA_INLINE Lanes broadcast(float x) { return {_mm512_set1_ps(x)}; }
STRATA_INLINE Lanes load(const float* p) { return {_mm512_loadu_ps(p)}; }
STRATA_INLINE void store(float* p, Lanes a) { _mm512_storeu_ps(p, a.v); }
// The first n lanes, n in [0, 16]; the others are read as 0 and not written. Memory beyond them is not touched.
STRATA_INLINE Lanes load_first(const float* p, int64_t n) { return {_mm512_maskz_loadu_ps(first_lanes(n), p)}; }
STRATA_INLINE void store_first(float* p, Lanes a, int64_t n) { _mm512_mask_storeu_ps(p, first_lanes(n), a.v); }

// The same for numbers of the cache: fp32, or binary16 in integers.
STRATA_INLINE Lanes load(const uint16_t* p) {
  return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}
STRATA_INLINE Lanes load_first(const uint16_t* p, int64_t n) {
  return {_mm512_cvtph_ps(_mm256_maskz_loadu_epi16(first_lanes(n), p))};
}
STRATA_INLINE void store_first(uint16_t* p, Lanes a, int64_t n) {
  const __m256i half = _mm512_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  _mm256_mask_storeu_epi16(p, first_lanes(n), half);
}

STRATA_INLINE Lanes load(const BFloat* p) {
  const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16))};
}
STRATA_INLINE Lanes load_first(const BFloat* p, int64_t n) {
  const __m256i bits = _mm256_maskz_loadu_epi16(first_lanes(n), p);
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16))};
}
// Rounded to nearest; NaN stays.
STRATA_INLINE __m256i to_bfloat16(__m512 x) {
#ifdef __AVX512BF16__
  return (__m256i)_mm512_cvtneps_pbh(x);
#else
  const __m512i bits = _mm512_castps_si512(x);
  const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
  const __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  const __m512i quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x400000));
  const __m512i kept = _mm512_mask_mov_epi32(rounded, _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), quiet);
  return _mm512_cvtepi32_epi16(_mm512_srli_epi32(kept, 16));
#endif
}
STRATA_INLINE void store_first(BFloat* p, Lanes a, int64_t n) {
  _mm256_mask_storeu_epi16(p, first_lanes(n), to_bfloat16(a.v));
}

#ifdef __AVX512BF16__
// Sixteen words of two bfloat16 numbers.
struct Pairs {
  __m512i v;
};
STRATA_INLINE Pairs broadcast(BFloatPair x) { return {_mm512_set1_epi32(__builtin_bit_cast(int, x))}; }
STRATA_INLINE Pairs load(const BFloatPair* p) { return {_mm512_loadu_si512(p)}; }
STRATA_INLINE Pairs load_first(const BFloatPair* p, int64_t n) { return {_mm512_maskz_loadu_epi32(first_lanes(n), p)}; }
// c plus both products of each word.
STRATA_INLINE Lanes multiply_add(Pairs a, Pairs b, Lanes c) {
  return {_mm512_dpbf16_ps(c.v, (__m512bh)a.v, (__m512bh)b.v)};
}
// With zero for the second number of each word.
STRATA_INLINE Pairs without_second(Pairs a) { return {_mm512_and_si512(a.v, _mm512_set1_epi32(0xffff))}; }
// The words of (low, high), rounded: (low[0], low[1]), (low[2], low[3]) ...
STRATA_INLINE Lanes words_of(Lanes low, Lanes high, BFloatPair) {
  return {_mm512_castsi512_ps((__m512i)_mm512_cvtne2ps_pbh(high.v, low.v))};
}
// to[i] = (first[i], second[i]) for i < n, n in [0, 32]: bfloat16 numbers in registers, or in memory (null: zeros).
STRATA_INLINE void interleave(BFloatPair* to, Lanes first, Lanes second, int64_t n) {
  const __m512i even = _mm512_castps_si512(first.v), odd = _mm512_castps_si512(second.v);
  // Where the two numbers of a word are: of `even`, and of `odd`, whose numbers count from 32.
  const __m512i words = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m512i low = _mm512_or_si512(words, _mm512_slli_epi32(_mm512_add_epi32(words, _mm512_set1_epi32(32)), 16));
  const __m512i high = _mm512_add_epi32(low, _mm512_set1_epi32(16 << 16 | 16));
  _mm512_mask_storeu_epi32(to, first_lanes(n), _mm512_permutex2var_epi16(even, low, odd));
  if (n > kLanes)
    _mm512_mask_storeu_epi32(to + kLanes, first_lanes(n - kLanes), _mm512_permutex2var_epi16(even, high, odd));
}
// Words (first[i], second[i]), rounded, for i < n.
STRATA_INLINE void store_words(BFloatPair* to, Lanes first, Lanes second, int64_t n) {
  interleave(to, words_of(first, first, *to), words_of(second, second, *to), n);
}
STRATA_INLINE void interleave(BFloatPair* to, const BFloat* first, const BFloat* second, int64_t n) {
  const __mmask32 mask = n >= 2 * kLanes ? 0xffffffffu : (1u << n) - 1u;
  const __m512i even = _mm512_maskz_loadu_epi16(mask, first);
  const __m512i odd = second == nullptr ? _mm512_setzero_si512() : _mm512_maskz_loadu_epi16(mask, second);
  interleave(to, Lanes{_mm512_castsi512_ps(even)}, Lanes{_mm512_castsi512_ps(odd)}, n);
}
#else
// The first and the second numbers of n words, n in [0, 16]; the others are 0.
STRATA_INLINE void load_words(const BFloatPair* p, int64_t n, Lanes& first, Lanes& second) {
  const __m512i words = _mm512_maskz_loadu_epi32(first_lanes(n), p);
  const __m512i upper = _mm512_set1_epi32(static_cast<int>(0xffff0000u));
  first.v = _mm512_castsi512_ps(_mm512_slli_epi32(words, 16));
  second.v = _mm512_castsi512_ps(_mm512_and_si512(words, upper));
}
#endif

// Sixteen bytes; and sixteen bytes of two numbers of 4 bits each.
STRATA_INLINE Lanes load(const int8_t* p) {
  return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))))};
}
STRATA_INLINE void load_nibbles(const int8_t* p, Lanes& low, Lanes& high) {
  const __m512i bytes = _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  low.v = _mm512_cvtepi32_ps(_mm512_srai_epi32(_mm512_slli_epi32(bytes, 28), 28));
  high.v = _mm512_cvtepi32_ps(_mm512_srai_epi32(bytes, 4));
}

STRATA_INLINE Lanes operator+(Lanes a, Lanes b) { return {_mm512_add_ps(a.v, b.v)}; }
STRATA_INLINE Lanes operator-(Lanes a, Lanes b) { return {_mm512_sub_ps(a.v, b.v)}; }
STRATA_INLINE Lanes operator*(Lanes a, Lanes b) { return {_mm512_mul_ps(a.v, b.v)}; }
STRATA_INLINE Lanes operator/(Lanes a, Lanes b) { return {_mm512_div_ps(a.v, b.v)}; }
// a * b + c, rounded once here (twice in the generic table).
STRATA_INLINE Lanes multiply_add(Lanes a, Lanes b, Lanes c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
// The larger / smaller; b where either is NaN.
STRATA_INLINE Lanes max(Lanes a, Lanes b) { return {_mm512_max_ps(a.v, b.v)}; }
STRATA_INLINE Lanes min(Lanes a, Lanes b) { return {_mm512_min_ps(a.v, b.v)}; }
STRATA_INLINE Lanes abs(Lanes a) { return {_mm512_abs_ps(a.v)}; }
STRATA_INLINE Lanes with_sign_of(Lanes magnitude, Lanes sign) {
  const __m512 sign_bit = _mm512_castsi512_ps(_mm512_set1_epi32(static_cast<int>(0x80000000u)));
  return {_mm512_or_ps(magnitude.v, _mm512_and_ps(sign.v, sign_bit))};
}
STRATA_INLINE LaneMask less(Lanes a, Lanes b) { return _mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ); }
STRATA_INLINE LaneMask less_equal(Lanes a, Lanes b) { return _mm512_cmp_ps_mask(a.v, b.v, _CMP_LE_OQ); }
STRATA_INLINE LaneMask both(LaneMask a, LaneMask b) { return static_cast<LaneMask>(a & b); }
// yes where the mask is set, else no.
STRATA_INLINE Lanes select(LaneMask mask, Lanes yes, Lanes no) { return {_mm512_mask_blend_ps(mask, no.v, yes.v)}; }

STRATA_INLINE Lanes round_to_nearest(Lanes a) {
  return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
// a * 2^n for whole n in [-126, 128]; below, what a smaller float would be is 0.
STRATA_INLINE Lanes times_power_of_two(Lanes a, Lanes n) { return {_mm512_scalef_ps(a.v, n.v)}; }

// Fixed trees: lane i meets i + 8, then i + 4, i + 2, i + 1.
STRATA_INLINE float sum_of(Lanes a) {
  const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
STRATA_INLINE float max_of(Lanes a) {
  const __m256 eight = _mm256_max_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

// to[r] = max_of(rows[r]).
template <int n>
STRATA_INLINE void store_maxima(float* to, const Lanes (&rows)[n]) {
  if constexpr (n == 8) {
    __m512 a[4];
    STRATA_UNROLL
    for (int i = 0; i < 4; ++i) {  // two rows, each in a half
      const __m512 low = _mm512_shuffle_f32x4(rows[2 * i].v, rows[2 * i + 1].v, 0x44);
      a[i] = _mm512_max_ps(low, _mm512_shuffle_f32x4(rows[2 * i].v, rows[2 * i + 1].v, 0xee));
    }
    STRATA_UNROLL
    for (int i = 0; i < 2; ++i) {  // four rows, each in a quarter
      const __m512 even = _mm512_shuffle_f32x4(a[2 * i], a[2 * i + 1], 0x88);
      a[i] = _mm512_max_ps(even, _mm512_shuffle_f32x4(a[2 * i], a[2 * i + 1], 0xdd));
    }
    const __m512 pairs = _mm512_max_ps(_mm512_shuffle_ps(a[0], a[1], 0x44), _mm512_shuffle_ps(a[0], a[1], 0xee));
    const __m512 ones = _mm512_max_ps(pairs, _mm512_permute_ps(pairs, 0xb1));  // row q in lane 4 q, 4 + q in 4 q + 2
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 2, 6, 10, 14, 0, 0, 0, 0, 0, 0, 0, 0);
    _mm256_storeu_ps(to, _mm512_castps512_ps256(_mm512_permutexvar_ps(order, ones)));
  } else {
    STRATA_UNROLL
    for (int r = 0; r < n; ++r) to[r] = max_of(rows[r]);
  }
}

STRATA_INLINE Lanes square_root(Lanes a) { return {_mm512_sqrt_ps(a.v)}; }
STRATA_INLINE float square_root(float x) { return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x))); }

#ifdef __AVX512BF16__
// e^x for x not above 0, within 8e-6 of it, where the result is rounded to bfloat16: 2^n times a minimax polynomial of
// 2^r, |r| <= 1/2. Exactly 0 for -inf, as vscalefps gives for 2^-200; NaN stays.
STRATA_INLINE Lanes exp_of_negative(Lanes x, BFloatPair) {
  const Lanes t = max(broadcast(-200.0f), x * broadcast(1.44269504f)), n = round_to_nearest(t), r = t - n;
  Lanes mantissa = multiply_add(broadcast(9.570101792e-03f), r, broadcast(5.591786031e-02f));
  mantissa = multiply_add(mantissa, r, broadcast(2.402474483e-01f));
  mantissa = multiply_add(mantissa, r, broadcast(6.931218147e-01f));
  return times_power_of_two(multiply_add(mantissa, r, broadcast(9.999992614e-01f)), n);
}
#endif

// 0, 1, 2 ... 15.
STRATA_INLINE Lanes lane_numbers() {
  return {_mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)};
}

// (p[0], p[2], ... p[30]) and (p[1], p[3], ... p[31]) of memory that holds 2n numbers, n <= 16; and back.
STRATA_INLINE void load_pairs(const float* p, int64_t n, Lanes& even, Lanes& odd) {
  const __m512 low = _mm512_maskz_loadu_ps(first_lanes(2 * n), p);
  const __m512 high = _mm512_maskz_loadu_ps(2 * n > kLanes ? first_lanes(2 * n - kLanes) : LaneMask{0}, p + kLanes);
  const __m512i evens = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  even.v = _mm512_permutex2var_ps(low, evens, high);
  odd.v = _mm512_permutex2var_ps(low, _mm512_add_epi32(evens, _mm512_set1_epi32(1)), high);
}
STRATA_INLINE void store_pairs(float* p, Lanes even, Lanes odd, int64_t n) {
  const __m512i lows = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  const __m512i highs = _mm512_add_epi32(lows, _mm512_set1_epi32(8));
  _mm512_mask_storeu_ps(p, first_lanes(2 * n), _mm512_permutex2var_ps(even.v, lows, odd.v));
  if (2 * n > kLanes) {
    _mm512_mask_storeu_ps(p + kLanes, first_lanes(2 * n - kLanes), _mm512_permutex2var_ps(even.v, highs, odd.v));
  }
}

// rows[i][j] becomes rows[j][i].
STRATA_INLINE void transpose(Lanes rows[kLanes]) {
  __m512 a[kLanes], b[kLanes];
  STRATA_UNROLL
  for (int i = 0; i < 8; ++i) {
    a[2 * i] = _mm512_unpacklo_ps(rows[2 * i].v, rows[2 * i + 1].v);
    a[2 * i + 1] = _mm512_unpackhi_ps(rows[2 * i].v, rows[2 * i + 1].v);
  }
  STRATA_UNROLL
  for (int i = 0; i < 4; ++i) {  // groups of four rows; b[4 * i + j] holds column j of every 128-bit part
    b[4 * i] = _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(a[4 * i]), _mm512_castps_pd(a[4 * i + 2])));
    b[4 * i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(a[4 * i]), _mm512_castps_pd(a[4 * i + 2])));
    b[4 * i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(a[4 * i + 1]), _mm512_castps_pd(a[4 * i + 3])));
    b[4 * i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(a[4 * i + 1]), _mm512_castps_pd(a[4 * i + 3])));
  }
  STRATA_UNROLL
  for (int j = 0; j < 4; ++j) {
    const __m512 even_low = _mm512_shuffle_f32x4(b[j], b[4 + j], 0x88);         // parts 0, 2 of row groups 0, 1
    const __m512 odd_low = _mm512_shuffle_f32x4(b[j], b[4 + j], 0xdd);          // parts 1, 3
    const __m512 even_high = _mm512_shuffle_f32x4(b[8 + j], b[12 + j], 0x88);   // of row groups 2, 3
    const __m512 odd_high = _mm512_shuffle_f32x4(b[8 + j], b[12 + j], 0xdd);
    rows[j].v = _mm512_shuffle_f32x4(even_low, even_high, 0x88);
    rows[4 + j].v = _mm512_shuffle_f32x4(odd_low, odd_high, 0x88);
    rows[8 + j].v = _mm512_shuffle_f32x4(even_low, even_high, 0xdd);
    rows[12 + j].v = _mm512_shuffle_f32x4(odd_low, odd_high, 0xdd);
  }
}

}  // namespace strata::avx512
