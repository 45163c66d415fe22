// F32 and F16 weights times fp32 rows, BF16 weights times bf16 rows: one chain of fma per output, K ascending; the
// arithmetic is that of kernels/reference/matmul.h.
// A register tile is up to 6 rows of x (BF16: 5) by 16 outputs, or up to 3 rows by 32.
#include "compute/kernels/cpu/avx2/families.h"
#include "compute/kernels/cpu/avx2/lanes.h"
#include "compute/kernels/cpu/matmul_split.h"
#include "compute/kernels/cpu/words.h"
#include "compute/kernels/packed_weights.h"

namespace strata::avx2 {
namespace {

constexpr int kWideTileRows = 3;  // up to here both groups of a panel at once: one row alone needs four chains
constexpr int kMaxRows = 150;     // of a tile of work

struct Sums {
  __m256 v[4];  // of 8 outputs
};

// part_of(p, h, j) and part_of_x(x, j): number j of the kSpan that a struct holds, of outputs 8 h ... 8 h + 7 of its
// group, and of the word of four bytes that x holds for each struct.
struct WeightsF32 {
  using Packed = PackedF32;
  static constexpr DType kActivation = DType::kF32;
  static constexpr int kTileRows = 6, kOneStepRows = kWideTileRows, kDirectRows = kMaxRows;
  static constexpr double kProductsPerNs = 50;
  STRATA_INLINE __m256 part_of(const Packed& p, int h, int) { return _mm256_loadu_ps(p.w + 8 * h); }
  STRATA_INLINE __m256 part_of_x(const uint8_t* x, int) { return _mm256_set1_ps(load_word(x)); }
};
struct WeightsF16 : WeightsF32 {
  using Packed = PackedF16;
  STRATA_INLINE __m256 part_of(const Packed& p, int h, int) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p.w + 8 * h)));
  }
};
struct WeightsBF16 {
  using Packed = PackedBF16;
  static constexpr DType kActivation = DType::kActBF16;
  static constexpr int kTileRows = 5;  // what widens takes registers
  static constexpr int kOneStepRows = kWideTileRows, kDirectRows = kMaxRows;
  static constexpr double kProductsPerNs = 50;
  STRATA_INLINE __m256 widen(__m256i pairs, int j) {
    const __m256i zero = _mm256_setzero_si256();  // costs less than the register of a mask
    return _mm256_castsi256_ps(j == 0 ? _mm256_slli_epi32(pairs, 16) : _mm256_blend_epi16(pairs, zero, 0x55));
  }
  STRATA_INLINE __m256 part_of(const Packed& p, int h, int j) {
    return widen(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p.w[8 * h])), j);
  }
  STRATA_INLINE __m256 part_of_x(const uint8_t* x, int j) {
    return widen(_mm256_castps_si256(_mm256_set1_ps(load_word(x))), j);
  }
};

struct WeightsFP8 {
  using Packed = PackedFP8;
  static constexpr DType kActivation = DType::kF32;
  static constexpr int kTileRows = WeightsF32::kTileRows, kDirectRows = 0;
  static constexpr double kProductsPerNs = WeightsF32::kProductsPerNs;
  // E4M3 in the upper bits of a half is 2^-8 of its value; subnormal halves count whatever the float mode.
  STRATA_INLINE void decode(const PackedPanel<PackedFP8>& weights, int64_t i, PackedF32 out[][2]) {
    for (int c = 0; c < 2; ++c) {
      const PackedFP8& p = weights.first[i * weights.width + c * (weights.width - 1)];
      for (int j = 0; j < PackedFP8::kSpan; ++j) {
        for (int h = 0; h < 2; ++h) {
          const __m128i wide = _mm_cvtepu8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p.q[j] + 8 * h)));
          const __m128i size = _mm_and_si128(wide, _mm_set1_epi16(0x7f));
          const __m128i sign = _mm_slli_epi16(_mm_and_si128(wide, _mm_set1_epi16(0x80)), 8);
          // Where it is no number, a half's NaN.
          const __m128i not_a_number =
              _mm_and_si128(_mm_cmpeq_epi16(size, _mm_set1_epi16(0x7f)), _mm_set1_epi16(0x7e00));
          const __m128i half = _mm_or_si128(_mm_or_si128(_mm_slli_epi16(size, 7), sign), not_a_number);
          const __m256 q = _mm256_mul_ps(_mm256_cvtph_ps(half), _mm256_set1_ps(256));
          _mm256_storeu_ps(out[j][c].w + 8 * h, _mm256_mul_ps(_mm256_loadu_ps(p.d + 8 * h), q));
        }
      }
    }
  }
};

// Vectors [first, first + kCount) of the panel's four.
template <class W, int kRows, int kCount, int kLines>
void add_structs(const PackedPanel<typename W::Packed>& weights, int first, int64_t count, const uint8_t* const* x,
                 int64_t offset, Sums* y, uintptr_t ahead) {
  __m256 sum[kRows][kCount];
  const uint8_t* row[kRows];
  STRATA_UNROLL
  for (int t = 0; t < kRows; ++t) {
    row[t] = x[t] + offset;
    STRATA_UNROLL
    for (int v = 0; v < kCount; ++v) sum[t][v] = y[t].v[first + v];
  }
  const typename W::Packed* p = weights.first + first / 2 * (weights.width - 1);
  for (int64_t i = 0; i < count; ++i, p += weights.width) {
    STRATA_UNROLL
    for (int line = 0; line < kLines; ++line, ahead += 64) prefetch_line(ahead);
    STRATA_UNROLL
    for (int j = 0; j < W::Packed::kSpan; ++j) {
      if (j > 0) asm("" ::: "memory");  // words are read again for each number: there are no registers to keep them in
      __m256 w[kCount];
      STRATA_UNROLL
      for (int v = 0; v < kCount; ++v) w[v] = W::part_of(p[v / 2 * (weights.width - 1)], v % 2, j);
      STRATA_UNROLL
      for (int t = 0; t < kRows; ++t) {
        const __m256 number = W::part_of_x(row[t] + 4 * i, j);
        STRATA_UNROLL
        for (int v = 0; v < kCount; ++v) sum[t][v] = _mm256_fmadd_ps(number, w[v], sum[t][v]);
      }
    }
  }
  STRATA_UNROLL
  for (int t = 0; t < kRows; ++t) {
    STRATA_UNROLL
    for (int v = 0; v < kCount; ++v) y[t].v[first + v] = sum[t][v];
  }
}

// The panel's groups one after the other.
template <class W, int kRows, int kLines>
void add_structs_of_groups(const PackedPanel<typename W::Packed>& weights, int64_t count, const uint8_t* const* x,
                           int64_t offset, Sums* y, uintptr_t ahead) {
  add_structs<W, kRows, 2, kLines>(weights, 0, count, x, offset, y, ahead);
  add_structs<W, kRows, 2, 0>(weights, 2, count, x, offset, y, ahead);
}

template <class W, int kLines>
void add_structs(const PackedPanel<typename W::Packed>& weights, int64_t count, const uint8_t* const* x, int64_t offset,
                 int64_t n_rows, Sums* y, uintptr_t ahead) {
  switch (n_rows) {
    case 1:
      return add_structs<W, 1, 4, kLines>(weights, 0, count, x, offset, y, ahead);
    case 2:
      return add_structs<W, 2, 4, kLines>(weights, 0, count, x, offset, y, ahead);
    case 3:
      return add_structs<W, 3, 4, kLines>(weights, 0, count, x, offset, y, ahead);
    case 4:
      return add_structs_of_groups<W, 4, kLines>(weights, count, x, offset, y, ahead);
    case 5:
      return add_structs_of_groups<W, 5, kLines>(weights, count, x, offset, y, ahead);
    default:
      return add_structs_of_groups<W, 6, kLines>(weights, count, x, offset, y, ahead);
  }
}

template <class W>
void add_half_struct(const PackedPanel<typename W::Packed>& weights, const uint8_t* const* x, int64_t offset,
                     int64_t n_rows, Sums* y) {
  for (int64_t t = 0; t < n_rows; ++t) {
    uint8_t word[4] = {};
    __builtin_memcpy(word, x[t] + offset, 2);
    for (int v = 0; v < 4; ++v) {
      const typename W::Packed& p = weights.first[v / 2 * (weights.width - 1)];
      y[t].v[v] = _mm256_fmadd_ps(W::part_of_x(word, 0), W::part_of(p, v % 2, 0), y[t].v[v]);
    }
  }
}

STRATA_INLINE void store_columns(float* to, const Sums& sums, int64_t left) {
  store_first(to, {sums.v[0], sums.v[1]}, left);
  if (left > kLanes) store_first(to + kLanes, {sums.v[2], sums.v[3]}, left - kLanes);
}

#include "compute/kernels/cpu/lanes/matmul_float.inl"

}  // namespace

constexpr MatmulFamily kMatmulF32 = family<WeightsF32>("f32.fma.1");
constexpr MatmulFamily kMatmulF16 = family<WeightsF16>("f16.fma.1");
constexpr MatmulFamily kMatmulBF16 = family<WeightsBF16>("bf16.fma.1");
constexpr MatmulFamily kMatmulFP8 = family<WeightsFP8>("fp8.fma.1");

}  // namespace strata::avx2
