// The reference: slow, obvious, summed in double. It is the specification of every op; contracts: cpu_kernels.h. Being
// obvious comes first: unlike the fast tables it allocates, and uses the exp, sin and cos of the C library.
#pragma once

#include "compute/kernels/cpu_kernels.h"

namespace strata::reference {
#include "compute/kernels/op_declarations.inl"

// What joins the product of q with the key at this position.
double alibi_bias(const Alibi& alibi, int head, int position);
}  // namespace strata::reference
