// The register tile of the gradients of a matmul.
#include "compute/kernels/cpu/avx512/lanes.h"
#include "compute/kernels/cpu/avx512/matmul.h"

namespace strata::avx512 {
namespace {

constexpr int kTileRows = 6;
constexpr int kTileVectors = 4;
constexpr int64_t kColumns = kTileVectors * kLanes;  // of a register tile

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

template <int kRows>
void add_products(const OuterProducts& p, int64_t columns) {
  LaneMask mask[kTileVectors];
  __m512 sum[kRows][kTileVectors];
  STRATA_UNROLL
  for (int v = 0; v < kTileVectors; ++v) {
    mask[v] = columns > v * kLanes ? first_lanes(columns - v * kLanes) : LaneMask{0};
    STRATA_UNROLL
    for (int r = 0; r < kRows; ++r) sum[r][v] = _mm512_maskz_loadu_ps(mask[v], p.out + r * p.out_stride + v * kLanes);
  }
  for (int64_t s = 0; s < p.n_steps; ++s) {
    __m512 b[kTileVectors];
    STRATA_UNROLL
    for (int v = 0; v < kTileVectors; ++v) b[v] = _mm512_maskz_loadu_ps(mask[v], p.b + s * p.b_step + v * kLanes);
    STRATA_UNROLL
    for (int r = 0; r < kRows; ++r) {
      const __m512 a = _mm512_set1_ps(p.a[s * p.a_step + r * p.a_row]);
      STRATA_UNROLL
      for (int v = 0; v < kTileVectors; ++v) sum[r][v] = _mm512_fmadd_ps(a, b[v], sum[r][v]);
    }
  }
  STRATA_UNROLL
  for (int v = 0; v < kTileVectors; ++v) {
    STRATA_UNROLL
    for (int r = 0; r < kRows; ++r) _mm512_mask_storeu_ps(p.out + r * p.out_stride + v * kLanes, mask[v], sum[r][v]);
  }
}

}  // namespace

#include "compute/kernels/cpu/lanes/matmul_gradient.inl"

}  // namespace strata::avx512
