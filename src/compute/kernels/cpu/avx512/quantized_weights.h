// How the packed quantized structs become operands: for each, the same small interface.
//   kGroups, kVectors        scale groups of a struct; vectors of 16 x 4 int8 numbers in a group
//   kUnroll                  groups that are decoded differently, one after the other
//   vector(p, g, u, v)       vector v of group g + u, offsets taken off; g is a multiple of kUnroll, u < kUnroll and v
//                            are constant where this is inlined
//   scale(p, g)              fp32 scale[g]
//   kHasD, d(p)              the factor of the whole struct
//   kHasMin, dmin(p), minima(p, i)   minima of blocks 2 i, 2 i + 1 as pairs of int16
#pragma once

#include <immintrin.h>

#include "compute/kernels/cpu/avx512/lanes.h"
#include "compute/kernels/packed_weights.h"

namespace strata::avx512 {

STRATA_INLINE __m512i load_vector(const void* p) { return _mm512_loadu_si512(p); }
STRATA_INLINE __m512 halves_to_floats(const uint16_t* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
// Vector v (0-7) of a block of 32 numbers in nibbles.
STRATA_INLINE __m512i nibbles(const uint8_t vectors[4][64], int v) {
  const __m512i both = load_vector(vectors[v % 4]);
  return _mm512_and_si512(v < 4 ? both : _mm512_srli_epi16(both, 4), _mm512_set1_epi8(15));
}

template <int kBlocks>
struct WeightsQ8_0 {
  using Packed = PackedQ8_0<kBlocks>;
  static constexpr int kGroups = kBlocks, kVectors = 8, kUnroll = 1;
  static constexpr bool kHasD = false, kHasMin = false;
  STRATA_INLINE __m512i vector(const Packed& p, int g, int, int v) { return load_vector(p.q[g][v]); }
  STRATA_INLINE __m512 scale(const Packed& p, int g) { return halves_to_floats(p.d[g]); }
};

template <int kBlocks>
struct WeightsQ4_0 {
  using Packed = PackedQ4_0<kBlocks>;
  static constexpr int kGroups = kBlocks, kVectors = 8, kUnroll = 1;
  static constexpr bool kHasD = false, kHasMin = false;
  STRATA_INLINE __m512i vector(const Packed& p, int g, int, int v) {
    return _mm512_sub_epi8(nibbles(p.q[g], v), _mm512_set1_epi8(8));
  }
  STRATA_INLINE __m512 scale(const Packed& p, int g) { return halves_to_floats(p.d[g]); }
};

struct WeightsQ4_K {
  using Packed = PackedQ4_K;
  static constexpr int kGroups = 8, kVectors = 8, kUnroll = 1;
  static constexpr bool kHasD = true, kHasMin = true;
  STRATA_INLINE __m512i vector(const Packed& p, int g, int, int v) { return nibbles(p.q[g], v); }
  STRATA_INLINE __m512 scale(const Packed& p, int g) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p.scale[g]));
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes));
  }
  STRATA_INLINE __m512 d(const Packed& p) { return halves_to_floats(p.d); }
  STRATA_INLINE __m512 dmin(const Packed& p) { return halves_to_floats(p.dmin); }
  STRATA_INLINE __m512i minima(const Packed& p, int i) {
    return _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p.min[i])));
  }
};

struct WeightsQ6_K {
  using Packed = PackedQ6_K;
  static constexpr int kGroups = 16, kVectors = 4, kUnroll = 4;
  static constexpr bool kHasD = true, kHasMin = false;
  STRATA_INLINE __m512i vector(const Packed& p, int g, int u, int v) {
    const __m512i pairs = load_vector(p.high[g / 4][v]);
    const __m512i high = u == 0   ? _mm512_slli_epi16(pairs, 4)
                         : u == 1 ? _mm512_slli_epi16(pairs, 2)
                         : u == 2 ? pairs
                                  : _mm512_srli_epi16(pairs, 2);
    const __m512i low = nibbles(p.low[(g + u) / 2], u % 2 * 4 + v), upper = _mm512_set1_epi8(0x30);
    const __m512i number = _mm512_ternarylogic_epi32(high, upper, low, 0xea);  // (high & upper) | low
    return _mm512_sub_epi8(number, _mm512_set1_epi8(32));
  }
  STRATA_INLINE __m512 scale(const Packed& p, int g) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p.scale[g]));
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes));
  }
  STRATA_INLINE __m512 d(const Packed& p) { return halves_to_floats(p.d); }
};

}  // namespace strata::avx512
