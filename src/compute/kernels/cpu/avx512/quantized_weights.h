// How packed quantized structs become operands: what is common to the types. For each (matmul_blocks_32.cpp,
// matmul_blocks_256.cpp) there is the same small interface:
//   Packed, Form             the struct; its PanelForm
//   kUnroll                  groups that are decoded differently, one after the other
//   vector(p, g, u, v)       vector v of group g + u, offsets taken off; g is a multiple of kUnroll, u < kUnroll and v
//                            are constant where this is inlined
//   scale(p, g, u)           fp32 scale of group g + u
//   d(p)                     the factor of the whole struct (kHasD)
//   dmin(p), minima(p, i)    Minima::kWhole: minima of groups 2 i, 2 i + 1 as pairs of int16
//   minimum(p, g)            Minima::kPlain: fp32 minimum of group g
#pragma once

#include <immintrin.h>

#include "compute/kernels/cpu/avx512/lanes.h"
#include "compute/kernels/packed_blocks.h"

namespace strata::avx512 {

// Scale groups of a struct, vectors of 16 x 4 int8 numbers in a group, and what else the product has.
template <int kGroups_, int kVectors_, bool kHasD_, Minima kMinima_>
struct PanelForm {
  static constexpr int kGroups = kGroups_, kVectors = kVectors_;
  static constexpr bool kHasD = kHasD_;
  static constexpr Minima kMinima = kMinima_;
};

STRATA_INLINE __m512i load_vector(const void* p) { return _mm512_loadu_si512(p); }
STRATA_INLINE __m512 halves_to_floats(const uint16_t* p) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
}
STRATA_INLINE __m512i widen_bytes(const uint8_t* p) {
  return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
}
STRATA_INLINE __m512 to_floats(const uint8_t* p) { return _mm512_cvtepi32_ps(widen_bytes(p)); }
STRATA_INLINE __m512 to_floats(const int8_t* p) {
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
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
// Vectors of codes by way of 16 values.
STRATA_INLINE __m512i look_up(const int8_t values[16], __m512i codes) {
  const __m128i table = _mm_loadu_si128(reinterpret_cast<const __m128i*>(values));
  return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(table), codes);
}

}  // namespace strata::avx512
