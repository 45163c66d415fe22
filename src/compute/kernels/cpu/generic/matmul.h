// Matmul in plain C++, for any processor, on the packed weights of packed_weights.h.
//
// Arithmetic "*.mul_add.1": as kernels/reference/matmul.h says, with each fma a product and a sum that round apart,
// because a processor without fma would call a library for each.
#pragma once

#include "compute/kernels/cpu_kernels.h"

namespace strata {

extern const MatmulFamily* const kGenericMatmul[kDTypeCount];

namespace generic {

#include "compute/kernels/matmul_declarations.inl"

}  // namespace generic
}  // namespace strata
