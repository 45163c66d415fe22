// Sixteen floats in plain C++: the vocabulary in which kernels/cpu/lanes/*.inl are written, for any processor. Four
// vectors of the compiler's own vector extension, which become SSE2 or NEON registers. Products and sums round
// separately (no fma): a processor without fma would call a library for each.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "compute/kernels/cpu/bfloat.h"
#include "compute/kernels/cpu/inlining.h"
#include "compute/tensor/half.h"

namespace strata::generic {

inline constexpr int kLanes = 16;
// Register tile of attention: sixteen 128-bit registers hold one row's scores beside the keys.
inline constexpr int kMaxTileRows = 2;
constexpr int tile_vectors(int) { return 1; }
// Register tile of the products of rows (outer_products.inl): the sums fill 8 of 16 registers.
inline constexpr int kProductRows = 2;
inline constexpr int kProductVectors = 1;
// Reading binary16 costs an instruction or two; where it does not, attention widens a step of K and V once.
inline constexpr bool kHalfIsCheap = false;
inline constexpr bool kBFloatInPairs = false;

typedef float Quad __attribute__((vector_size(16)));
typedef int32_t QuadMask __attribute__((vector_size(16)));

struct Lanes {
  Quad v[4];
};
struct LaneMask {
  QuadMask v[4];
};

#define STRATA_QUADS STRATA_UNROLL for (int i = 0; i < 4; ++i)

STRATA_INLINE Lanes broadcast(float x) {
  const Quad q = {x, x, x, x};
  return {{q, q, q, q}};
}
STRATA_INLINE Lanes load(const float* p) {
  Lanes a;
  std::memcpy(&a, p, sizeof(a));
  return a;
}
STRATA_INLINE void store(float* p, const Lanes& a) { std::memcpy(p, &a, sizeof(a)); }
// The first n lanes, n in [0, 16]; the others are read as 0 and not written. Memory beyond them is not touched.
STRATA_INLINE Lanes load_first(const float* p, int64_t n) {
  if (n >= kLanes) return load(p);
  float numbers[kLanes] = {};
  for (int64_t i = 0; i < n; ++i) numbers[i] = p[i];
  return load(numbers);
}
STRATA_INLINE void store_first(float* p, const Lanes& a, int64_t n) {
  if (n >= kLanes) return store(p, a);
  float numbers[kLanes];
  store(numbers, a);
  for (int64_t i = 0; i < n; ++i) p[i] = numbers[i];
}

// The same for numbers of the cache: fp32, or binary16 in integers.
STRATA_INLINE Lanes load_first(const uint16_t* p, int64_t n) {
  float numbers[kLanes] = {};
  for (int64_t i = 0; i < n; ++i) numbers[i] = half_to_float(p[i]);
  return load(numbers);
}
STRATA_INLINE Lanes load(const uint16_t* p) { return load_first(p, kLanes); }
STRATA_INLINE void store_first(uint16_t* p, const Lanes& a, int64_t n) {
  float numbers[kLanes];
  store(numbers, a);
  for (int64_t i = 0; i < n; ++i) p[i] = float_to_half(numbers[i]);
}

STRATA_INLINE Lanes load_first(const BFloat* p, int64_t n) {
  float numbers[kLanes] = {};
  for (int64_t i = 0; i < n; ++i) numbers[i] = bfloat16_to_float(p[i].bits);
  return load(numbers);
}
STRATA_INLINE Lanes load(const BFloat* p) { return load_first(p, kLanes); }
// The first and the second numbers of n words, n in [0, 16]; the others are 0.
STRATA_INLINE void load_words(const BFloatPair* p, int64_t n, Lanes& first, Lanes& second) {
  float firsts[kLanes] = {}, seconds[kLanes] = {};
  for (int64_t i = 0; i < n; ++i) {
    firsts[i] = bfloat16_to_float(p[i].first.bits);
    seconds[i] = bfloat16_to_float(p[i].second.bits);
  }
  first = load(firsts);
  second = load(seconds);
}
STRATA_INLINE void store_first(BFloat* p, const Lanes& a, int64_t n) {
  float numbers[kLanes];
  store(numbers, a);
  for (int64_t i = 0; i < n; ++i) p[i].bits = float_to_bfloat16(numbers[i]);
}
// Sixteen bytes; and sixteen bytes of two numbers of 4 bits each.
STRATA_INLINE Lanes load(const int8_t* p) {
  float numbers[kLanes];
  for (int i = 0; i < kLanes; ++i) numbers[i] = static_cast<float>(p[i]);
  return load(numbers);
}
STRATA_INLINE void load_nibbles(const int8_t* p, Lanes& low, Lanes& high) {
  float lows[kLanes], highs[kLanes];
  for (int i = 0; i < kLanes; ++i) {
    lows[i] = static_cast<float>(((p[i] & 15) ^ 8) - 8);
    highs[i] = static_cast<float>(p[i] >> 4);
  }
  low = load(lows);
  high = load(highs);
}

STRATA_INLINE Lanes operator+(const Lanes& a, const Lanes& b) {
  Lanes c;
  STRATA_QUADS c.v[i] = a.v[i] + b.v[i];
  return c;
}
STRATA_INLINE Lanes operator-(const Lanes& a, const Lanes& b) {
  Lanes c;
  STRATA_QUADS c.v[i] = a.v[i] - b.v[i];
  return c;
}
STRATA_INLINE Lanes operator*(const Lanes& a, const Lanes& b) {
  Lanes c;
  STRATA_QUADS c.v[i] = a.v[i] * b.v[i];
  return c;
}
STRATA_INLINE Lanes operator/(const Lanes& a, const Lanes& b) {
  Lanes c;
  STRATA_QUADS c.v[i] = a.v[i] / b.v[i];
  return c;
}
STRATA_INLINE Lanes multiply_add(const Lanes& a, const Lanes& b, const Lanes& c) { return a * b + c; }

STRATA_INLINE LaneMask less(const Lanes& a, const Lanes& b) {
  LaneMask m;
  STRATA_QUADS m.v[i] = a.v[i] < b.v[i];
  return m;
}
STRATA_INLINE LaneMask less_equal(const Lanes& a, const Lanes& b) {
  LaneMask m;
  STRATA_QUADS m.v[i] = a.v[i] <= b.v[i];
  return m;
}
STRATA_INLINE LaneMask both(const LaneMask& a, const LaneMask& b) {
  LaneMask m;
  STRATA_QUADS m.v[i] = a.v[i] & b.v[i];
  return m;
}
// yes where the mask is set, else no.
STRATA_INLINE Lanes select(const LaneMask& mask, const Lanes& yes, const Lanes& no) {
  Lanes c;
  STRATA_QUADS c.v[i] = reinterpret_cast<Quad>((mask.v[i] & reinterpret_cast<QuadMask>(yes.v[i])) |
                                               (~mask.v[i] & reinterpret_cast<QuadMask>(no.v[i])));
  return c;
}
// The larger / smaller; b where either is NaN.
STRATA_INLINE Lanes max(const Lanes& a, const Lanes& b) { return select(less(b, a), a, b); }
STRATA_INLINE Lanes min(const Lanes& a, const Lanes& b) { return select(less(a, b), a, b); }
STRATA_INLINE Lanes abs(const Lanes& a) {
  Lanes c;
  STRATA_QUADS c.v[i] = reinterpret_cast<Quad>(reinterpret_cast<QuadMask>(a.v[i]) & 0x7fffffff);
  return c;
}
STRATA_INLINE Lanes with_sign_of(const Lanes& magnitude, const Lanes& sign) {
  constexpr int32_t kSignBit = INT32_MIN;
  Lanes c;
  STRATA_QUADS c.v[i] = reinterpret_cast<Quad>(reinterpret_cast<QuadMask>(magnitude.v[i]) |
                                               (reinterpret_cast<QuadMask>(sign.v[i]) & kSignBit));
  return c;
}

// Adding and taking away 1.5 * 2^23 leaves the nearest whole number, ties to even, for |a| < 2^22.
STRATA_INLINE Lanes round_to_nearest(const Lanes& a) {
  const Lanes magic = broadcast(12582912.0f);
  return (a + magic) - magic;
}
// a * 2^n for whole n in [-126, 128]; two factors, because 2^128 is no float.
STRATA_INLINE Lanes times_power_of_two(const Lanes& a, const Lanes& n) {
  Lanes c;
  STRATA_QUADS {
    const QuadMask whole = __builtin_convertvector(n.v[i], QuadMask);
    const QuadMask half = whole >> 1;
    const Quad first = reinterpret_cast<Quad>((half + 127) << 23);
    const Quad second = reinterpret_cast<Quad>((whole - half + 127) << 23);
    c.v[i] = a.v[i] * first * second;
  }
  return c;
}

// Fixed trees: lane i meets i + 8, then i + 4, i + 2, i + 1.
STRATA_INLINE float sum_of(const Lanes& a) {
  const Quad four = (a.v[0] + a.v[2]) + (a.v[1] + a.v[3]);
  return (four[0] + four[2]) + (four[1] + four[3]);
}
STRATA_INLINE float max_of(const Lanes& a) {
  float numbers[kLanes];
  store(numbers, a);
  for (int width = 8; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) numbers[i] = numbers[i] > numbers[i + width] ? numbers[i] : numbers[i + width];
  }
  return numbers[0];
}

// to[r] = max_of(rows[r]).
template <int n>
STRATA_INLINE void store_maxima(float* to, const Lanes (&rows)[n]) {
  STRATA_UNROLL
  for (int r = 0; r < n; ++r) to[r] = max_of(rows[r]);
}

STRATA_INLINE float square_root(float x) { return std::sqrt(x); }
STRATA_INLINE Lanes square_root(const Lanes& a) {
  Lanes roots;
  STRATA_QUADS {
    for (int j = 0; j < 4; ++j) roots.v[i][j] = std::sqrt(a.v[i][j]);
  }
  return roots;
}

// 0, 1, 2 ... 15.
STRATA_INLINE Lanes lane_numbers() {
  const Quad a = {0, 1, 2, 3}, b = {4, 5, 6, 7}, c = {8, 9, 10, 11}, d = {12, 13, 14, 15};
  return {{a, b, c, d}};
}

// (p[0], p[2], ... p[30]) and (p[1], p[3], ... p[31]) of memory that holds 2n numbers, n <= 16; and back.
STRATA_INLINE void load_pairs(const float* p, int64_t n, Lanes& even, Lanes& odd) {
  float evens[kLanes] = {}, odds[kLanes] = {};
  for (int64_t i = 0; i < n; ++i) {
    evens[i] = p[2 * i];
    odds[i] = p[2 * i + 1];
  }
  even = load(evens);
  odd = load(odds);
}
STRATA_INLINE void store_pairs(float* p, const Lanes& even, const Lanes& odd, int64_t n) {
  float evens[kLanes], odds[kLanes];
  store(evens, even);
  store(odds, odd);
  for (int64_t i = 0; i < n; ++i) {
    p[2 * i] = evens[i];
    p[2 * i + 1] = odds[i];
  }
}

// rows[i][j] becomes rows[j][i].
STRATA_INLINE void transpose(Lanes rows[kLanes]) {
  float in[kLanes][kLanes], out[kLanes][kLanes];
  for (int i = 0; i < kLanes; ++i) store(in[i], rows[i]);
  for (int i = 0; i < kLanes; ++i) {
    for (int j = 0; j < kLanes; ++j) out[j][i] = in[i][j];
  }
  for (int i = 0; i < kLanes; ++i) rows[i] = load(out[i]);
}

#undef STRATA_QUADS

}  // namespace strata::generic
