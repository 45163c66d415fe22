// The register tile of the gradients of a matmul.
#include "compute/kernels/cpu/avx2/lanes.h"
#include "compute/kernels/cpu/avx2/matmul.h"

namespace strata::avx2 {
namespace {

constexpr int kTileRows = 6;
constexpr int kTileVectors = 2;
constexpr int64_t kColumns = kTileVectors * 8;  // of a register tile

// out[r, c] += sum_s a[s * a_step + r * a_row] * b[s * b_step + c] for n_steps summands s, ascending; the rows of a
// register tile, and its columns as far as `columns` says.
struct OuterProducts {
  float* out;
  int64_t out_stride;
  const float* a;
  int64_t a_step, a_row;
  const float* b;
  int64_t b_step;
  int64_t n_steps;
};

template <int kRows, bool kWhole>
void add_products(const OuterProducts& p, int64_t columns) {
  __m256i mask[kTileVectors];
  const auto load_columns = [&](const float* from, int v) {
    return kWhole ? _mm256_loadu_ps(from + v * 8) : _mm256_maskload_ps(from + v * 8, mask[v]);
  };
  __m256 sum[kRows][kTileVectors];
  STRATA_UNROLL
  for (int v = 0; v < kTileVectors; ++v) {
    mask[v] = first_of_half(columns, v * 8);
    STRATA_UNROLL
    for (int r = 0; r < kRows; ++r) sum[r][v] = load_columns(p.out + r * p.out_stride, v);
  }
  for (int64_t s = 0; s < p.n_steps; ++s) {
    __m256 b[kTileVectors];
    STRATA_UNROLL
    for (int v = 0; v < kTileVectors; ++v) b[v] = load_columns(p.b + s * p.b_step, v);
    STRATA_UNROLL
    for (int r = 0; r < kRows; ++r) {
      const __m256 a = _mm256_set1_ps(p.a[s * p.a_step + r * p.a_row]);
      STRATA_UNROLL
      for (int v = 0; v < kTileVectors; ++v) sum[r][v] = _mm256_fmadd_ps(a, b[v], sum[r][v]);
    }
  }
  STRATA_UNROLL
  for (int v = 0; v < kTileVectors; ++v) {
    STRATA_UNROLL
    for (int r = 0; r < kRows; ++r) {
      float* to = p.out + r * p.out_stride + v * 8;
      if (kWhole) {
        _mm256_storeu_ps(to, sum[r][v]);
      } else {
        _mm256_maskstore_ps(to, mask[v], sum[r][v]);
      }
    }
  }
}

template <int kRows>
STRATA_INLINE void add_products(const OuterProducts& p, int64_t columns) {
  if (columns >= kColumns) {
    add_products<kRows, true>(p, columns);
  } else {
    add_products<kRows, false>(p, columns);
  }
}

}  // namespace

#include "compute/kernels/cpu/lanes/matmul_gradient.inl"

}  // namespace strata::avx2
