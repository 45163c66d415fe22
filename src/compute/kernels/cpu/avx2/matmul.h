// Matmul in AVX2 with FMA and F16C.
#pragma once

#include "compute/kernels/cpu_kernels.h"

namespace strata {

extern const MatmulFamily* const kAvx2Matmul[kDTypeCount];

namespace avx2 {

#include "compute/kernels/matmul_declarations.inl"

}  // namespace avx2
}  // namespace strata
