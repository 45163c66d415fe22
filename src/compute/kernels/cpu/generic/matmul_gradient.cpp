// The gradients of a matmul. Sums run over all of their index in ascending order within one call.
#include "compute/kernels/cpu/generic/matmul.h"

namespace strata::generic {
namespace {

constexpr int64_t kStep = 16;  // rows of w unpacked at a time
constexpr int64_t kBlockColumns = 256;

// y[c] += factor * x[c].
void add_scaled(float* __restrict y, float factor, const float* __restrict x, int64_t n) {
  for (int64_t c = 0; c < n; ++c) y[c] += factor * x[c];
}

}  // namespace

void matmul_dw(float* dw, const float* dy, const float* x, int64_t rows, int64_t n, int64_t k, int64_t n_begin,
               int64_t n_end) {
  for (int64_t j = n_begin; j < n_end; ++j) {
    for (int64_t i = 0; i < rows; ++i) add_scaled(dw + j * k, dy[i * n + j], x + i * k, k);
  }
}

void matmul_dx(float* dx, const float* dy, const MatmulFamily& family, const void* packed, int64_t n, int64_t k,
               int64_t row_begin, int64_t row_end) {
  float w[kStep * kBlockColumns];
  for (int64_t c = 0; c < k; c += kBlockColumns) {
    const int64_t columns = k - c < kBlockColumns ? k - c : kBlockColumns;
    for (int64_t i = row_begin; i < row_end; ++i) {
      for (int64_t j = 0; j < columns; ++j) dx[i * k + c + j] = 0;
    }
    for (int64_t j = 0; j < n; j += kStep) {
      const int64_t steps = n - j < kStep ? n - j : kStep;
      family.unpack(w, packed, n, k, j, j + steps, c, c + columns);
      for (int64_t i = row_begin; i < row_end; ++i) {
        for (int64_t s = 0; s < steps; ++s) add_scaled(dx + i * k + c, dy[i * n + j + s], w + s * columns, columns);
      }
    }
  }
}

}  // namespace strata::generic
