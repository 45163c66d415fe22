// Weights that are numbers times rows of x: one chain of fused multiplications per output, K ascending. A register tile
// is up to 12 rows of x by 32 outputs, two groups of packed rows. Beside what lanes/matmul_float.inl asks for, W has
// load(struct) and multiply_add(sum, word of x, what load gave): x holds one word of four bytes for each struct.
#pragma once

#include "compute/kernels/cpu/avx512/lanes.h"
#include "compute/kernels/cpu/matmul_split.h"
#include "compute/kernels/cpu/words.h"
#include "compute/kernels/cpu_kernels.h"
#include "compute/kernels/packed_weights.h"

namespace strata::avx512 {
namespace {

constexpr int kMaxRows = 144;

struct Sums {
  __m512 v[2];
};

struct WeightsF32 {
  using Packed = PackedF32;
  static constexpr DType kActivation = DType::kF32;
  static constexpr int kTileRows = 12, kOneStepRows = kTileRows, kDirectRows = kMaxRows;
  static constexpr double kProductsPerNs = 100;
  STRATA_INLINE __m512 load(const Packed& p) { return _mm512_loadu_ps(p.w); }
  STRATA_INLINE __m512 multiply_add(__m512 sum, float x, __m512 w) {
    return _mm512_fmadd_ps(_mm512_set1_ps(x), w, sum);
  }
};

template <class W, int kRows, int kLines>
void add_structs(const PackedPanel<typename W::Packed>& weights, int64_t count, const uint8_t* const* x, int64_t offset,
                 Sums* y, uintptr_t ahead) {
  __m512 sum[kRows][2];
  const uint8_t* row[kRows];
  STRATA_UNROLL
  for (int t = 0; t < kRows; ++t) {
    row[t] = x[t] + offset;
    sum[t][0] = y[t].v[0];
    sum[t][1] = y[t].v[1];
  }
  const typename W::Packed* p = weights.first;
  for (int64_t i = 0; i < count; ++i, p += weights.width) {
    STRATA_UNROLL
    for (int line = 0; line < kLines; ++line, ahead += 64) prefetch_line(ahead);
    const __m512 w0 = W::load(p[0]), w1 = W::load(p[weights.width - 1]);
    STRATA_UNROLL
    for (int t = 0; t < kRows; ++t) {
      const float word = load_word(row[t] + 4 * i);
      sum[t][0] = W::multiply_add(sum[t][0], word, w0);
      sum[t][1] = W::multiply_add(sum[t][1], word, w1);
    }
  }
  STRATA_UNROLL
  for (int t = 0; t < kRows; ++t) {
    y[t].v[0] = sum[t][0];
    y[t].v[1] = sum[t][1];
  }
}

template <class W, int kLines>
void add_structs(const PackedPanel<typename W::Packed>& weights, int64_t count, const uint8_t* const* x, int64_t offset,
                 int64_t n_rows, Sums* y, uintptr_t ahead) {
  switch (n_rows) {
    case 1:
      return add_structs<W, 1, kLines>(weights, count, x, offset, y, ahead);
    case 2:
      return add_structs<W, 2, kLines>(weights, count, x, offset, y, ahead);
    case 3:
      return add_structs<W, 3, kLines>(weights, count, x, offset, y, ahead);
    case 4:
      return add_structs<W, 4, kLines>(weights, count, x, offset, y, ahead);
    case 5:
      return add_structs<W, 5, kLines>(weights, count, x, offset, y, ahead);
    case 6:
      return add_structs<W, 6, kLines>(weights, count, x, offset, y, ahead);
    case 7:
      return add_structs<W, 7, kLines>(weights, count, x, offset, y, ahead);
    case 8:
      return add_structs<W, 8, kLines>(weights, count, x, offset, y, ahead);
    case 9:
      return add_structs<W, 9, kLines>(weights, count, x, offset, y, ahead);
    case 10:
      return add_structs<W, 10, kLines>(weights, count, x, offset, y, ahead);
    case 11:
      return add_structs<W, 11, kLines>(weights, count, x, offset, y, ahead);
    default:
      return add_structs<W, 12, kLines>(weights, count, x, offset, y, ahead);
  }
}

template <class W>
void add_half_struct(const PackedPanel<typename W::Packed>& weights, const uint8_t* const* x, int64_t offset,
                     int64_t n_rows, Sums* y) {
  for (int64_t t = 0; t < n_rows; ++t) {
    uint32_t word = 0;
    __builtin_memcpy(&word, x[t] + offset, 2);
    float pair;
    __builtin_memcpy(&pair, &word, sizeof(pair));
    for (int c = 0; c < 2; ++c)
      y[t].v[c] = W::multiply_add(y[t].v[c], pair, W::load(weights.first[c * (weights.width - 1)]));
  }
}

STRATA_INLINE void store_columns(float* to, const Sums& sums, int64_t left) {
  _mm512_mask_storeu_ps(to, first_lanes(left), sums.v[0]);
  if (left > kLanes) _mm512_mask_storeu_ps(to + kLanes, first_lanes(left - kLanes), sums.v[1]);
}

#include "compute/kernels/cpu/lanes/matmul_float.inl"

}  // namespace
}  // namespace strata::avx512
