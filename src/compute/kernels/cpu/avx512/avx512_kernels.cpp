#include "compute/kernels/cpu/avx512/ops.h"
#include "compute/kernels/reference/matmul.h"

namespace strata {

namespace ops = avx512;

const CpuKernels kAvx512Kernels = {
    .name = "avx512",
    .matmul = kReferenceMatmul,
    .to_activation = reference::to_activation,
    .matmul_dw = reference::matmul_dw,
    .matmul_dx = reference::matmul_dx,
#include "compute/kernels/op_table.inl"
};

}  // namespace strata
