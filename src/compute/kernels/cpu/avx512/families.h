// The families of AVX-512, one per packed struct; listed in matmul.cpp.
#pragma once

#include "compute/kernels/cpu_kernels.h"

namespace strata::avx512 {

extern const MatmulFamily kMatmulF32, kMatmulF16, kMatmulBF16, kMatmulFP8;
extern const MatmulFamily kMatmulInt4, kMatmulInt8, kMatmulInt4x32, kMatmulInt8x32;
extern const MatmulFamily kMatmulQ8_0, kMatmulQ4_0, kMatmulQ4_1, kMatmulQ5_0, kMatmulQ5_1, kMatmulIQ4_NL, kMatmulMXFP4;
extern const MatmulFamily kMatmulQ8_0x32, kMatmulQ4_0x32, kMatmulQ4_1x32, kMatmulQ5_0x32, kMatmulQ5_1x32,
    kMatmulIQ4_NLx32, kMatmulMXFP4x32;
extern const MatmulFamily kMatmulQ2_K, kMatmulQ3_K, kMatmulQ4_K, kMatmulQ5_K, kMatmulQ6_K, kMatmulIQ4_XS;

}  // namespace strata::avx512
