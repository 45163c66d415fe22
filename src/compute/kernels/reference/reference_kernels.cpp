#include "compute/kernels/reference/matmul.h"
#include "compute/kernels/reference/ops.h"

namespace strata {

namespace ops = reference;

const CpuKernels kReferenceKernels = {
    .name = "reference",
    .matmul = kReferenceMatmul,
    .to_activation = reference::to_activation,
    .matmul_dw = reference::matmul_dw,
    .matmul_dx = reference::matmul_dx,
    .matmul_dw_bfloat = reference::matmul_dw_bfloat,
    .matmul_dx_bfloat = reference::matmul_dx_bfloat,
#include "compute/kernels/op_table.inl"
};

}  // namespace strata
