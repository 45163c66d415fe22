#include "compute/kernels/cpu/generic/matmul.h"
#include "compute/kernels/cpu/generic/ops.h"

namespace strata {

namespace ops = generic;

const CpuKernels kGenericKernels = {
    .name = "generic",
    .matmul = kGenericMatmul,
    .to_activation = generic::to_activation,
    .matmul_dw = generic::matmul_dw,
    .matmul_dx = generic::matmul_dx,
    .matmul_dw_bfloat = generic::matmul_dw_bfloat,
    .matmul_dx_bfloat = generic::matmul_dx_bfloat,
#include "compute/kernels/op_table.inl"
};

}  // namespace strata
