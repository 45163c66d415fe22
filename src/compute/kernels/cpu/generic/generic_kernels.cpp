#include "compute/kernels/cpu/generic/ops.h"

namespace strata {

namespace ops = generic;

const CpuKernels kGenericKernels = {
    .name = "generic",
    .matmul = nullptr,
    .to_activation = nullptr,
    .matmul_dw = nullptr,
    .matmul_dx = nullptr,
#include "compute/kernels/op_table.inl"
};

}  // namespace strata
