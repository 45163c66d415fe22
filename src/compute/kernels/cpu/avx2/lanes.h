// Sixteen floats in two AVX2 registers: the vocabulary in which kernels/cpu/lanes/*.inl are written. Every function is
// `static inline` in this namespace: nothing compiled with AVX2 flags may be shared with other units.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "compute/kernels/cpu/bfloat.h"
#include "compute/kernels/cpu/inlining.h"
#include "compute/tensor/half.h"

namespace strata::avx2 {

inline constexpr int kLanes = 16;
// Register tile of attention: rows of q that share a load of K and V. 4 rows x 1 vector fill 8 of 16 registers; twice
// as many would leave none for the operands.
inline constexpr int kMaxTileRows = 4;
constexpr int tile_vectors(int rows) { return rows >= 4 ? 1 : rows == 2 ? 2 : 4; }
// Register tile of the products of rows (outer_products.inl): the sums fill 12 of 16 registers.
inline constexpr int kProductRows = 6;
inline constexpr int kProductVectors = 1;
// Reading binary16 costs an instruction or two; where it does not, attention widens a step of K and V once.
inline constexpr bool kHalfIsCheap = true;
inline constexpr bool kBFloatInPairs = false;

struct Lanes {
  __m256 low, high;
};
struct LaneMask {
  __m256 low, high;
};

// All bits set in the lanes below n, for the half of the lanes that begins at `first`.
STRATA_INLINE __m256i first_of_half(int64_t n, int first) {
  const __m256i at = _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(first));
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), at);
}

STRATA_INLINE Lanes broadcast(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
STRATA_INLINE Lanes load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
STRATA_INLINE void store(float* p, Lanes a) {
  _mm256_storeu_ps(p, a.low);
  _mm256_storeu_ps(p + 8, a.high);
}
// The first n lanes, n in [0, 16]; the others are read as 0 and not written. Memory beyond them is not touched.
STRATA_INLINE Lanes load_first(const float* p, int64_t n) {
  if (n >= kLanes) return load(p);
  return {_mm256_maskload_ps(p, first_of_half(n, 0)), _mm256_maskload_ps(p + 8, first_of_half(n, 8))};
}
STRATA_INLINE void store_first(float* p, Lanes a, int64_t n) {
  if (n >= kLanes) return store(p, a);
  _mm256_maskstore_ps(p, first_of_half(n, 0), a.low);
  _mm256_maskstore_ps(p + 8, first_of_half(n, 8), a.high);
}

// The same for numbers of the cache: fp32, or binary16 in integers.
STRATA_INLINE Lanes load(const uint16_t* p) {
  const auto* halves = reinterpret_cast<const __m128i*>(p);
  return {_mm256_cvtph_ps(_mm_loadu_si128(halves)), _mm256_cvtph_ps(_mm_loadu_si128(halves + 1))};
}
STRATA_INLINE Lanes load_first(const uint16_t* p, int64_t n) {
  if (n >= kLanes) return load(p);
  uint16_t numbers[kLanes] = {};
  for (int64_t i = 0; i < n; ++i) numbers[i] = p[i];
  return load(numbers);
}
STRATA_INLINE void store_first(uint16_t* p, Lanes a, int64_t n) {
  const __m128i low = _mm256_cvtps_ph(a.low, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m128i high = _mm256_cvtps_ph(a.high, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  uint16_t numbers[kLanes];
  const bool whole = n >= kLanes;
  auto* to = reinterpret_cast<__m128i*>(whole ? p : numbers);
  _mm_storeu_si128(to, low);
  _mm_storeu_si128(to + 1, high);
  if (whole) return;
  for (int64_t i = 0; i < n; ++i) p[i] = numbers[i];
}

STRATA_INLINE __m256 widen(__m128i bfloats) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bfloats), 16));
}
STRATA_INLINE Lanes load(const BFloat* p) {
  const auto* bits = reinterpret_cast<const __m128i*>(p);
  return {widen(_mm_loadu_si128(bits)), widen(_mm_loadu_si128(bits + 1))};
}
STRATA_INLINE Lanes load_first(const BFloat* p, int64_t n) {
  if (n >= kLanes) return load(p);
  BFloat numbers[kLanes] = {};
  for (int64_t i = 0; i < n; ++i) numbers[i] = p[i];
  return load(numbers);
}
// The first and the second numbers of n words, n in [0, 16]; the others are 0.
STRATA_INLINE void load_words(const BFloatPair* p, int64_t n, Lanes& first, Lanes& second) {
  BFloatPair words[kLanes] = {};
  for (int64_t i = 0; n < kLanes && i < n; ++i) words[i] = p[i];
  const auto* bits = reinterpret_cast<const __m256i*>(n < kLanes ? words : p);
  const __m256i low = _mm256_loadu_si256(bits), high = _mm256_loadu_si256(bits + 1);
  const __m256i upper = _mm256_set1_epi32(static_cast<int>(0xffff0000u));
  first = {_mm256_castsi256_ps(_mm256_slli_epi32(low, 16)), _mm256_castsi256_ps(_mm256_slli_epi32(high, 16))};
  second = {_mm256_castsi256_ps(_mm256_and_si256(low, upper)), _mm256_castsi256_ps(_mm256_and_si256(high, upper))};
}
STRATA_INLINE void store_first(BFloat* p, Lanes a, int64_t n) {
  float numbers[kLanes];
  store(numbers, a);
  for (int64_t i = 0; i < n; ++i) p[i].bits = float_to_bfloat16(numbers[i]);
}
// Sixteen bytes; and sixteen bytes of two numbers of 4 bits each.
STRATA_INLINE Lanes load(const int8_t* p) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)),
          _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8)))};
}
STRATA_INLINE void load_nibbles(const int8_t* p, Lanes& low, Lanes& high) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  const __m256i first = _mm256_cvtepi8_epi32(bytes), second = _mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8));
  low.low = _mm256_cvtepi32_ps(_mm256_srai_epi32(_mm256_slli_epi32(first, 28), 28));
  low.high = _mm256_cvtepi32_ps(_mm256_srai_epi32(_mm256_slli_epi32(second, 28), 28));
  high.low = _mm256_cvtepi32_ps(_mm256_srai_epi32(first, 4));
  high.high = _mm256_cvtepi32_ps(_mm256_srai_epi32(second, 4));
}

STRATA_INLINE Lanes operator+(Lanes a, Lanes b) { return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)}; }
STRATA_INLINE Lanes operator-(Lanes a, Lanes b) { return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)}; }
STRATA_INLINE Lanes operator*(Lanes a, Lanes b) { return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)}; }
STRATA_INLINE Lanes operator/(Lanes a, Lanes b) { return {_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)}; }
// a * b + c, rounded once here (twice in the generic table).
STRATA_INLINE Lanes multiply_add(Lanes a, Lanes b, Lanes c) {
  return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}
// The larger / smaller; b where either is NaN.
STRATA_INLINE Lanes max(Lanes a, Lanes b) { return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)}; }
STRATA_INLINE Lanes min(Lanes a, Lanes b) { return {_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)}; }
STRATA_INLINE Lanes abs(Lanes a) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  return {_mm256_andnot_ps(sign, a.low), _mm256_andnot_ps(sign, a.high)};
}
STRATA_INLINE Lanes with_sign_of(Lanes magnitude, Lanes sign) {
  const __m256 bit = _mm256_set1_ps(-0.0f);
  return {_mm256_or_ps(magnitude.low, _mm256_and_ps(sign.low, bit)),
          _mm256_or_ps(magnitude.high, _mm256_and_ps(sign.high, bit))};
}
STRATA_INLINE LaneMask less(Lanes a, Lanes b) {
  return {_mm256_cmp_ps(a.low, b.low, _CMP_LT_OQ), _mm256_cmp_ps(a.high, b.high, _CMP_LT_OQ)};
}
STRATA_INLINE LaneMask less_equal(Lanes a, Lanes b) {
  return {_mm256_cmp_ps(a.low, b.low, _CMP_LE_OQ), _mm256_cmp_ps(a.high, b.high, _CMP_LE_OQ)};
}
STRATA_INLINE LaneMask both(LaneMask a, LaneMask b) {
  return {_mm256_and_ps(a.low, b.low), _mm256_and_ps(a.high, b.high)};
}
// yes where the mask is set, else no.
STRATA_INLINE Lanes select(LaneMask mask, Lanes yes, Lanes no) {
  return {_mm256_blendv_ps(no.low, yes.low, mask.low), _mm256_blendv_ps(no.high, yes.high, mask.high)};
}

STRATA_INLINE Lanes round_to_nearest(Lanes a) {
  constexpr int kMode = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  return {_mm256_round_ps(a.low, kMode), _mm256_round_ps(a.high, kMode)};
}
// a * 2^n for whole n in [-126, 128]; two factors, because 2^128 is no float.
STRATA_INLINE __m256 times_power_of_two(__m256 a, __m256 n) {
  const __m256i whole = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(whole, 1), bias = _mm256_set1_epi32(127);
  const __m256i first = _mm256_slli_epi32(_mm256_add_epi32(half, bias), 23);
  const __m256i second = _mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(whole, half), bias), 23);
  return _mm256_mul_ps(_mm256_mul_ps(a, _mm256_castsi256_ps(first)), _mm256_castsi256_ps(second));
}
STRATA_INLINE Lanes times_power_of_two(Lanes a, Lanes n) {
  return {times_power_of_two(a.low, n.low), times_power_of_two(a.high, n.high)};
}

// Fixed trees: lane i meets i + 8, then i + 4, i + 2, i + 1.
STRATA_INLINE float sum_of(Lanes a) {
  const __m256 eight = _mm256_add_ps(a.low, a.high);
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
STRATA_INLINE float max_of(Lanes a) {
  const __m256 eight = _mm256_max_ps(a.low, a.high);
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

// to[r] = max_of(rows[r]).
template <int n>
STRATA_INLINE void store_maxima(float* to, const Lanes (&rows)[n]) {
  STRATA_UNROLL
  for (int r = 0; r < n; ++r) to[r] = max_of(rows[r]);
}

STRATA_INLINE Lanes square_root(Lanes a) { return {_mm256_sqrt_ps(a.low), _mm256_sqrt_ps(a.high)}; }
STRATA_INLINE float square_root(float x) { return _mm_cvtss_f32(_mm_sqrt_ss(_mm_set_ss(x))); }

// 0, 1, 2 ... 15.
STRATA_INLINE Lanes lane_numbers() {
  return {_mm256_setr_ps(0, 1, 2, 3, 4, 5, 6, 7), _mm256_setr_ps(8, 9, 10, 11, 12, 13, 14, 15)};
}

// (p[0], p[2], ... p[30]) and (p[1], p[3], ... p[31]) of memory that holds 2n numbers, n <= 16; and back.
STRATA_INLINE __m256 every_second(__m256 evens_and_odds) {
  return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(evens_and_odds), 0xd8));
}
STRATA_INLINE void load_pairs(const float* p, int64_t n, Lanes& even, Lanes& odd) {
  const Lanes a = load_first(p, 2 * n), b = 2 * n > kLanes ? load_first(p + kLanes, 2 * n - kLanes) : broadcast(0);
  even = {every_second(_mm256_shuffle_ps(a.low, a.high, 0x88)), every_second(_mm256_shuffle_ps(b.low, b.high, 0x88))};
  odd = {every_second(_mm256_shuffle_ps(a.low, a.high, 0xdd)), every_second(_mm256_shuffle_ps(b.low, b.high, 0xdd))};
}
STRATA_INLINE Lanes interleave(__m256 even, __m256 odd) {
  const __m256 low = _mm256_unpacklo_ps(even, odd), high = _mm256_unpackhi_ps(even, odd);
  return {_mm256_permute2f128_ps(low, high, 0x20), _mm256_permute2f128_ps(low, high, 0x31)};
}
STRATA_INLINE void store_pairs(float* p, Lanes even, Lanes odd, int64_t n) {
  store_first(p, interleave(even.low, odd.low), 2 * n);
  if (2 * n > kLanes) store_first(p + kLanes, interleave(even.high, odd.high), 2 * n - kLanes);
}

// rows[i][j] becomes rows[j][i], 8 by 8.
STRATA_INLINE void transpose(__m256 rows[8]) {
  __m256 a[8], b[8];
  STRATA_UNROLL
  for (int i = 0; i < 4; ++i) {
    a[2 * i] = _mm256_unpacklo_ps(rows[2 * i], rows[2 * i + 1]);
    a[2 * i + 1] = _mm256_unpackhi_ps(rows[2 * i], rows[2 * i + 1]);
  }
  STRATA_UNROLL
  for (int i = 0; i < 2; ++i) {  // groups of four rows; b[4 * i + j] holds columns j and 4 + j
    b[4 * i] = _mm256_shuffle_ps(a[4 * i], a[4 * i + 2], 0x44);
    b[4 * i + 1] = _mm256_shuffle_ps(a[4 * i], a[4 * i + 2], 0xee);
    b[4 * i + 2] = _mm256_shuffle_ps(a[4 * i + 1], a[4 * i + 3], 0x44);
    b[4 * i + 3] = _mm256_shuffle_ps(a[4 * i + 1], a[4 * i + 3], 0xee);
  }
  STRATA_UNROLL
  for (int j = 0; j < 4; ++j) {
    rows[j] = _mm256_permute2f128_ps(b[j], b[4 + j], 0x20);
    rows[4 + j] = _mm256_permute2f128_ps(b[j], b[4 + j], 0x31);
  }
}
// rows[i][j] becomes rows[j][i].
STRATA_INLINE void transpose(Lanes rows[kLanes]) {
  __m256 quarter[2][2][8];  // of rows and columns below and from 8 on
  STRATA_UNROLL
  for (int i = 0; i < kLanes; ++i) {
    quarter[i / 8][0][i % 8] = rows[i].low;
    quarter[i / 8][1][i % 8] = rows[i].high;
  }
  STRATA_UNROLL
  for (int i = 0; i < 4; ++i) transpose(quarter[i / 2][i % 2]);
  STRATA_UNROLL
  for (int i = 0; i < kLanes; ++i) rows[i] = {quarter[0][i / 8][i % 8], quarter[1][i / 8][i % 8]};
}

}  // namespace strata::avx2
