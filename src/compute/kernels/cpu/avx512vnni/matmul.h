// Matmul in AVX-512 without BF16: what differs from kernels/cpu/avx512/matmul.h.
#pragma once

#include "compute/kernels/cpu_kernels.h"

namespace strata {

extern const MatmulFamily* const kAvx512VnniMatmul[kDTypeCount];

namespace avx512vnni {

extern const MatmulFamily kMatmulBF16;

void matmul_dw_bfloat(float* dw, const void* dy, const void* x, int64_t rows, int64_t n, int64_t k, int64_t n_begin,
                      int64_t n_end, int64_t k_begin, int64_t k_end);
void matmul_dx_bfloat(float* dx, const void* dy, const void* w, int64_t n, int64_t k, int64_t row_begin,
                      int64_t row_end, int64_t k_begin, int64_t k_end);

}  // namespace avx512vnni
}  // namespace strata
