// The families of AVX-512, one per packed struct; listed in matmul.cpp.
#pragma once

#include "compute/kernels/cpu_kernels.h"

namespace strata::avx512 {

extern const MatmulFamily kMatmulF32, kMatmulF16, kMatmulBF16;
extern const MatmulFamily kMatmulQ8_0, kMatmulQ8_0x32, kMatmulQ4_0, kMatmulQ4_0x32, kMatmulQ4_K, kMatmulQ6_K;

}  // namespace strata::avx512
