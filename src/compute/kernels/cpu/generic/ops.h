// The ops of this instruction set; contracts: cpu_kernels.h.
#pragma once

#include "compute/kernels/cpu_kernels.h"

namespace strata::generic {
#include "compute/kernels/op_declarations.inl"
}  // namespace strata::generic
