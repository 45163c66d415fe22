// The ops of this instruction set; contracts: cpu_kernels.h.
#pragma once

#include "compute/kernels/cpu_kernels.h"

namespace strata::avx2 {
#include "compute/kernels/op_declarations.inl"
}  // namespace strata::avx2
