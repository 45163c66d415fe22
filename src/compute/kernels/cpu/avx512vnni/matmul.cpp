#include "compute/kernels/cpu/avx512vnni/matmul.h"

#include "compute/kernels/cpu/avx512/families.h"

namespace strata {

// In the order of DType.
constexpr const MatmulFamily* const kAvx512VnniMatmul[kDTypeCount] = {
    &avx512::kMatmulF32,
    &avx512::kMatmulF16,
    &avx512vnni::kMatmulBF16,
    nullptr,
    nullptr,
    nullptr,
    &avx512::kMatmulQ8_0,
    &avx512::kMatmulQ4_0,
    &avx512::kMatmulQ4_1,
    &avx512::kMatmulQ5_0,
    &avx512::kMatmulQ5_1,
    &avx512::kMatmulQ2_K,
    &avx512::kMatmulQ3_K,
    &avx512::kMatmulQ4_K,
    &avx512::kMatmulQ5_K,
    &avx512::kMatmulQ6_K,
    &avx512::kMatmulIQ4_NL,
    &avx512::kMatmulIQ4_XS,
    &avx512::kMatmulMXFP4,
    &avx512::kMatmulInt4,
    &avx512::kMatmulInt8,
    &avx512::kMatmulFP8};

}  // namespace strata
