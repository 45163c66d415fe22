// The ops that this instruction set computes otherwise than AVX-512 with BF16; contracts: cpu_kernels.h.
#pragma once

#include "compute/kernels/cpu_kernels.h"

namespace strata::avx512vnni {
#include "compute/kernels/op_declarations.inl"
}  // namespace strata::avx512vnni
