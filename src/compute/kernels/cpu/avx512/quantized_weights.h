// How packed quantized structs become operands: what is common to the types. For each (matmul_blocks_32.cpp,
// matmul_blocks_256.cpp) there is the same small interface:
//   Packed, Form             the struct; its PanelForm
//   kOffset                  what codes are larger by than the numbers they stand for: 0 or a power of two, up to 128
//   kUnroll                  groups that are decoded differently, one after the other
//   kDirectRows              up to so many rows decoding in registers is faster than through a decoded panel
//   code(p, g, u, v)         vector v of group g + u, without sign; g is a multiple of kUnroll, u < kUnroll and v are
//                            constant where this is inlined
//   scale(p, g)              fp32 scale of group g (kFloatScales)
//   scales(p, i)             else: the scales of groups 2 i, 2 i + 1 as pairs of int16
//   d(p)                     the factor of the whole struct (kHasD)
//   dmin(p), minima(p, i)    Minima::kWhole: minima of groups 2 i, 2 i + 1 as pairs of int16
//   minimum(p, g)            Minima::kPlain: fp32 minimum of group g
#pragma once

#include <immintrin.h>

#include "compute/kernels/block_arithmetic.h"
#include "compute/kernels/cpu/avx512/lanes.h"
#include "compute/kernels/packed_blocks.h"

namespace strata::avx512 {

// Scale groups of a struct, vectors of 16 x 4 int8 numbers in a group, what else the product has, whether codes have an
// offset, and how many bits higher than their own those of odd groups stand (kOddShift). A register tile is kTileRows
// rows of x by 32 outputs: with whole scales two groups are summed at a time, in twice the registers.
template <int kGroups_, int kVectors_, bool kHasD_, Minima kMinima_, int kShift_, bool kHasOffset_, int kOddShift_ = 0>
struct PanelForm {
  static constexpr int kGroups = kGroups_, kVectors = kVectors_, kShift = kShift_;
  static constexpr bool kHasD = kHasD_, kHasOffset = kHasOffset_;
  static constexpr int kOddShift = kOddShift_;
  static_assert(kOddShift == 0 || (!kHasOffset && kShift != kFloatScales));
  static constexpr Minima kMinima = kMinima_;
  static constexpr int kTogether = kShift == kFloatScales ? 1 : 2;  // groups
  static constexpr int kTileRows = kShift == kFloatScales ? 6 : 4;
};

inline constexpr int kAllRows = 1 << 30;

STRATA_INLINE __m512i load_vector(const void* p) { return _mm512_loadu_si512(p); }
STRATA_INLINE __m512 halves_to_floats(const uint16_t* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
STRATA_INLINE __m512i widen_bytes(const uint8_t* p) {
  return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
STRATA_INLINE __m512 to_floats(const int8_t* p) {
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
}
// Pairs of bytes as pairs of int16.
STRATA_INLINE __m512i widen_pairs(const uint8_t p[16][2]) {
  return _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
STRATA_INLINE __m512i widen_pairs(const int8_t p[16][2]) {
  return _mm512_cvtepi8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}

// (a & mask) | b
STRATA_INLINE __m512i masked_or(__m512i a, __m512i mask, __m512i b) {
  return _mm512_ternarylogic_epi32(a, mask, b, 0xea);
}
// Bytes whose bits stand `left` places higher, or lower where that is negative; what comes from neighbours is rubbish.
STRATA_INLINE __m512i shifted(__m512i a, int left) {
  if (left == 0) return a;
  return left > 0 ? _mm512_slli_epi16(a, static_cast<unsigned>(left))
                  : _mm512_srli_epi16(a, static_cast<unsigned>(-left));
}

// Vector v (0-7) of a block of 32 numbers in nibbles.
STRATA_INLINE __m512i nibbles(const uint8_t vectors[4][64], int v) {
  return _mm512_and_si512(shifted(load_vector(vectors[v % 4]), v < 4 ? 0 : -4), _mm512_set1_epi8(15));
}
// The same with a fifth bit from `high`.
STRATA_INLINE __m512i five_bits(const uint8_t vectors[4][64], const uint8_t high[64], int v) {
  return masked_or(shifted(load_vector(high), 4 - v), _mm512_set1_epi8(16), nibbles(vectors, v));
}
// Vectors of codes by way of 16 values, to which 128 is added.
STRATA_INLINE __m512i look_up(const int8_t values[16], __m512i codes) {
  const __m128i table = _mm_loadu_si128(reinterpret_cast<const __m128i*>(values));
  const __m128i moved = _mm_xor_si128(table, _mm_set1_epi8(-128));
  return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(moved), codes);
}

}  // namespace strata::avx512
