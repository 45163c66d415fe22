// The reference: slow, obvious, summed in double. It is the specification of every op; contracts: cpu_kernels.h. Being
// obvious comes first: unlike the fast tables it allocates, and uses the exp, sin and cos of the C library.
#pragma once

#include "compute/kernels/cpu_kernels.h"

namespace strata::reference {
#include "compute/kernels/op_declarations.inl"
}  // namespace strata::reference
