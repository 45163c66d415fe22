#include "compute/kernels/cpu/avx2/matmul.h"

#include "compute/kernels/cpu/avx2/families.h"

namespace strata {

// In the order of DType.
constexpr const MatmulFamily* const kAvx2Matmul[kDTypeCount] = {&avx2::kMatmulF32,
                                                                &avx2::kMatmulF16,
                                                                &avx2::kMatmulBF16,
                                                                nullptr,
                                                                nullptr,
                                                                nullptr,
                                                                &avx2::kMatmulQ8_0,
                                                                &avx2::kMatmulQ4_0,
                                                                &avx2::kMatmulQ4_1,
                                                                &avx2::kMatmulQ5_0,
                                                                &avx2::kMatmulQ5_1,
                                                                &avx2::kMatmulQ2_K,
                                                                &avx2::kMatmulQ3_K,
                                                                &avx2::kMatmulQ4_K,
                                                                &avx2::kMatmulQ5_K,
                                                                &avx2::kMatmulQ6_K,
                                                                &avx2::kMatmulIQ4_NL,
                                                                &avx2::kMatmulIQ4_XS,
                                                                &avx2::kMatmulMXFP4,
                                                                &avx2::kMatmulInt4,
                                                                &avx2::kMatmulInt8,
                                                                &avx2::kMatmulFP8};

}  // namespace strata
