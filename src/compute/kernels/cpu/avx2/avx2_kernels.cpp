#include "compute/kernels/cpu/avx2/matmul.h"
#include "compute/kernels/cpu/avx2/ops.h"

namespace strata {

namespace ops = avx2;

const CpuKernels kAvx2Kernels = {
    .name = "avx2",
    .matmul = kAvx2Matmul,
    .to_activation = avx2::to_activation,
    .matmul_dw = avx2::matmul_dw,
    .matmul_dx = avx2::matmul_dx,
    .matmul_dw_bfloat = avx2::matmul_dw_bfloat,
    .matmul_dx_bfloat = avx2::matmul_dx_bfloat,
#include "compute/kernels/op_table.inl"
};

}  // namespace strata
