#include "compute/kernels/cpu/generic/ops.h"
#include "compute/kernels/reference/matmul.h"

namespace strata {

namespace ops = generic;

const CpuKernels kGenericKernels = {
    .name = "generic",
    .matmul = kReferenceMatmul,
    .to_activation = reference::to_activation,
    .matmul_dw = reference::matmul_dw,
    .matmul_dx = reference::matmul_dx,
#include "compute/kernels/op_table.inl"
};

}  // namespace strata
