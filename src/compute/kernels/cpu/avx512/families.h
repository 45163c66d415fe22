// The families of AVX-512, one per packed struct; listed in families_with.
#pragma once

#include "compute/kernels/cpu/avx512/matmul.h"

namespace strata::avx512 {

extern const MatmulFamily kMatmulF32, kMatmulF16, kMatmulBF16, kMatmulFP8;
extern const MatmulFamily kMatmulInt4, kMatmulInt8, kMatmulInt4x32, kMatmulInt8x32;
extern const MatmulFamily kMatmulQ8_0, kMatmulQ4_0, kMatmulQ4_1, kMatmulQ5_0, kMatmulQ5_1, kMatmulIQ4_NL, kMatmulMXFP4;
extern const MatmulFamily kMatmulQ8_0x32, kMatmulQ4_0x32, kMatmulQ4_1x32, kMatmulQ5_0x32, kMatmulQ5_1x32,
    kMatmulIQ4_NLx32, kMatmulMXFP4x32;
extern const MatmulFamily kMatmulQ2_K, kMatmulQ3_K, kMatmulQ4_K, kMatmulQ5_K, kMatmulQ6_K, kMatmulIQ4_XS;

// In the order of DType; the one for BF16 weights depends on the processor.
static inline constexpr FamilyTable families_with(const MatmulFamily* bfloat) {
  return {{
      &kMatmulF32, &kMatmulF16, bfloat, nullptr, nullptr, nullptr, &kMatmulQ8_0, &kMatmulQ4_0, &kMatmulQ4_1,
      &kMatmulQ5_0, &kMatmulQ5_1, &kMatmulQ2_K, &kMatmulQ3_K, &kMatmulQ4_K, &kMatmulQ5_K, &kMatmulQ6_K,
      &kMatmulIQ4_NL, &kMatmulIQ4_XS, &kMatmulMXFP4, &kMatmulInt4, &kMatmulInt8, &kMatmulFP8,
  }};
}

}  // namespace strata::avx512
