#include "compute/kernels/cpu/avx512/matmul.h"
#include "compute/kernels/cpu/avx512/ops.h"

namespace strata {

namespace ops = avx512;

const CpuKernels kAvx512Kernels = {
    .name = "avx512",
    .attends_in_bfloat = true,
    .matmul = kAvx512Families.of,
    .to_activation = avx512::to_activation,
    .matmul_dw = avx512::matmul_dw,
    .matmul_dx = avx512::matmul_dx,
    .matmul_dw_bfloat = avx512::matmul_dw_bfloat,
    .matmul_dx_bfloat = avx512::matmul_dx_bfloat,
#include "compute/kernels/op_table.inl"
};

}  // namespace strata
