// How packed quantized structs become operands: what is common to the types. For each (matmul_blocks_32.cpp,
// matmul_blocks_256.cpp) there is the same small interface; a half h is eight of the struct's sixteen lanes:
//   Packed, Form             the struct; its PanelForm
//   kMost, kOffset           codes are 0 ... kMost and stand for code - kOffset, which is 0 or a power of two
//   kUnroll                  groups that are decoded differently, one after the other
//   kDirectRows              up to so many rows decoding in registers is faster than through a decoded panel
//   code(p, g, u, v, h)      vector v of group g + u, without sign; g is a multiple of kUnroll, u < kUnroll and v are
//                            constant where this is inlined
//   scale(p, g, h)           fp32 scale of group g (kFloatScales)
//   scales(p, i, h)          else: the scales of groups 2 i, 2 i + 1 as pairs of int16
//   d(p, h)                  the factor of the whole struct (kHasD)
//   dmin(p, h), minima(p, i, h)   Minima::kWhole: minima of groups 2 i, 2 i + 1 as pairs of int16
//   minimum(p, g, h)         Minima::kPlain: fp32 minimum of group g
#pragma once

#include <immintrin.h>

#include "compute/kernels/block_arithmetic.h"
#include "compute/kernels/cpu/avx2/lanes.h"
#include "compute/kernels/packed_blocks.h"

namespace strata::avx2 {

inline constexpr int kByte = 255;      // codes of eight bits: too large for products in int16
inline constexpr int kHalfOfByte = 15;

// Vectors of a group whose pairs of products, each product up to `largest`, may be added in int16: a divisor of
// n_vectors.
constexpr int vectors_in_int16(int n_vectors, int largest) {
  while (2 * largest * n_vectors > 32767) n_vectors /= 2;
  return n_vectors;
}

// What the product of a type sees: scale groups of a struct, vectors of 16 x 4 codes in a group, parts that codes are
// split into, vectors added in int16, the codes' offset, what else the product has. With whole scales two groups are
// summed before they are joined.
template <int kGroups_, int kVectors_, int kParts_, int kChunk_, int kOffset_, bool kHasD_, Minima kMinima_,
          int kShift_>
struct PanelForm {
  static constexpr int kGroups = kGroups_, kVectors = kVectors_, kParts = kParts_, kChunk = kChunk_;
  static constexpr int kOffset = kOffset_, kShift = kShift_;
  static constexpr bool kHasD = kHasD_;
  static constexpr Minima kMinima = kMinima_;
  static constexpr int kTogether = kShift == kFloatScales ? 1 : 2;
  static constexpr int kTileRows = 6;  // 12 sums, 2 vectors of weights, x and a product fill the 16 registers
  static_assert(kChunk >= 1 && kVectors % kChunk == 0);
};

// x is -127 ... 127.
constexpr int chunk_of(int n_vectors, int most) {
  return vectors_in_int16(n_vectors, 127 * (most == kByte ? kHalfOfByte : most));
}
template <int kGroups, int kVectors, int kMost, int kOffset, bool kHasD, Minima kMinima, int kShift>
using FormOf = PanelForm<kGroups, kVectors, kMost == kByte ? 2 : 1, chunk_of(kVectors, kMost), kOffset, kHasD, kMinima,
                         kShift>;

STRATA_INLINE __m256i load_half(const void* vector, int h) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(vector) + h);
}
STRATA_INLINE __m256 halves_to_floats(const uint16_t* p, int h) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p) + h));
}
STRATA_INLINE __m128i load_8_bytes(const void* p, int h) {
  return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(static_cast<const uint8_t*>(p) + 8 * h));
}
STRATA_INLINE __m256i widen_bytes(const uint8_t* p, int h) { return _mm256_cvtepu8_epi32(load_8_bytes(p, h)); }
STRATA_INLINE __m256 to_floats(const int8_t* p, int h) {
  return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(load_8_bytes(p, h)));
}

// (a & mask) | b
STRATA_INLINE __m256i masked_or(__m256i a, __m256i mask, __m256i b) {
  return _mm256_or_si256(_mm256_and_si256(a, mask), b);
}
// Bytes whose bits stand `left` places higher, or lower where that is negative; what comes from neighbours is rubbish.
STRATA_INLINE __m256i shifted(__m256i a, int left) {
  if (left == 0) return a;
  return left > 0 ? _mm256_slli_epi16(a, left) : _mm256_srli_epi16(a, -left);
}

// Vector v (0-7) of a block of 32 numbers in nibbles.
STRATA_INLINE __m256i nibbles(const uint8_t vectors[4][64], int v, int h) {
  return _mm256_and_si256(shifted(load_half(vectors[v % 4], h), v < 4 ? 0 : -4), _mm256_set1_epi8(15));
}
// The same with a fifth bit from `high`.
STRATA_INLINE __m256i five_bits(const uint8_t vectors[4][64], const uint8_t high[64], int v, int h) {
  return masked_or(shifted(load_half(high, h), 4 - v), _mm256_set1_epi8(16), nibbles(vectors, v, h));
}
// Pairs of bytes as pairs of int16.
STRATA_INLINE __m256i widen_pairs(const uint8_t p[16][2], int h) {
  return _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p) + h));
}
STRATA_INLINE __m256i widen_pairs(const int8_t p[16][2], int h) {
  return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p) + h));
}
// Codes by way of 16 values, to which `offset` is added.
STRATA_INLINE __m256i look_up(const int8_t values[16], int offset, __m256i codes) {
  const __m128i table = _mm_loadu_si128(reinterpret_cast<const __m128i*>(values));
  const __m128i moved = _mm_add_epi8(table, _mm_set1_epi8(static_cast<char>(offset)));
  return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(moved), codes);
}

}  // namespace strata::avx2
