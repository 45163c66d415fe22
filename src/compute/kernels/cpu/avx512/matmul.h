// Matmul in AVX-512 with VNNI and BF16.
#pragma once

#include "compute/kernels/cpu_kernels.h"

namespace strata {

namespace avx512 {

struct FamilyTable {
  const MatmulFamily* of[kDTypeCount];
};

#include "compute/kernels/matmul_declarations.inl"

}  // namespace avx512

extern const avx512::FamilyTable kAvx512Families;

}  // namespace strata
