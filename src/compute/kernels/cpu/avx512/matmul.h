// Matmul in AVX-512 with VNNI and BF16.
#pragma once

#include "compute/kernels/cpu_kernels.h"

namespace strata {

extern const MatmulFamily* const kAvx512Matmul[kDTypeCount];

namespace avx512 {

void to_activation(DType type, void* dst, const float* x, int64_t rows, int64_t k);
void matmul_dw(float* dw, const float* dy, const float* x, int64_t rows, int64_t n, int64_t k, int64_t n_begin,
               int64_t n_end, int64_t k_begin, int64_t k_end);
void matmul_dx(float* dx, const float* dy, const MatmulFamily* family, const void* w, int64_t n, int64_t k,
               int64_t row_begin, int64_t row_end, int64_t k_begin, int64_t k_end);
void matmul_dw_bfloat(float* dw, const void* dy, const void* x, int64_t rows, int64_t n, int64_t k, int64_t n_begin,
                      int64_t n_end, int64_t k_begin, int64_t k_end);
void matmul_dx_bfloat(float* dx, const void* dy, const void* w, int64_t n, int64_t k, int64_t row_begin,
                      int64_t row_end, int64_t k_begin, int64_t k_end);

}  // namespace avx512
}  // namespace strata
