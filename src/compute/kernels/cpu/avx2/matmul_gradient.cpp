// The gradients of a matmul. Sums run over all of their index in ascending order within one call; they wait in memory
// between register tiles, which changes no bit.
#include "compute/kernels/cpu/avx2/lanes.h"
#include "compute/kernels/cpu/avx2/matmul.h"

namespace strata::avx2 {
namespace {

constexpr int kTileRows = 6;
constexpr int kTileVectors = 2;
constexpr int64_t kStep = 16;                   // summands between two visits of an output
constexpr int64_t kColumns = kTileVectors * 8;  // of a register tile
constexpr int64_t kBlockColumns = 256;          // columns of w unpacked at a time

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

// All register tiles of out [n_rows, columns].
void add_all_products(OuterProducts p, int64_t n_rows, int64_t columns) {
  for (int64_t r = 0; r < n_rows;) {
    OuterProducts tile = p;
    tile.out = p.out + r * p.out_stride;
    tile.a = p.a + r * p.a_row;
    const bool full = n_rows - r >= kTileRows;
    for (int64_t c = 0; c < columns; c += kColumns, tile.out += kColumns, tile.b += kColumns) {
      if (full) {
        add_products<kTileRows>(tile, columns - c);
      } else {
        add_products<1>(tile, columns - c);
      }
    }
    r += full ? kTileRows : 1;
  }
}

}  // namespace

void matmul_dw(float* dw, const float* dy, const float* x, int64_t rows, int64_t n, int64_t k, int64_t n_begin,
               int64_t n_end) {
  for (int64_t i = 0; i < rows; i += 4 * kStep) {
    const int64_t steps = rows - i < 4 * kStep ? rows - i : 4 * kStep;
    for (int64_t c = 0; c < k; c += kBlockColumns) {
      const int64_t columns = k - c < kBlockColumns ? k - c : kBlockColumns;
      add_all_products({dw + n_begin * k + c, k, dy + i * n + n_begin, n, 1, x + i * k + c, k, steps}, n_end - n_begin,
                       columns);
    }
  }
}

void matmul_dx(float* dx, const float* dy, const MatmulFamily& family, const void* packed, int64_t n, int64_t k,
               int64_t row_begin, int64_t row_end) {
  alignas(64) float w[kStep * kBlockColumns];
  __builtin_memset(dx + row_begin * k, 0, static_cast<size_t>((row_end - row_begin) * k) * sizeof(float));
  for (int64_t c = 0; c < k; c += kBlockColumns) {
    const int64_t columns = k - c < kBlockColumns ? k - c : kBlockColumns;
    for (int64_t j = 0; j < n; j += kStep) {
      const int64_t steps = n - j < kStep ? n - j : kStep;
      family.unpack(w, packed, n, k, j, j + steps, c, c + columns);
      add_all_products({dx + row_begin * k + c, k, dy + row_begin * n + j, 1, n, w, columns, steps},
                       row_end - row_begin, columns);
    }
  }
}

}  // namespace strata::avx2
