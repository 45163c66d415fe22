#include "compute/kernels/cpu/avx512/ops.h"

namespace strata {

namespace ops = avx512;

const CpuKernels kAvx512Kernels = {
    .name = "avx512",
    .matmul = nullptr,
    .to_activation = nullptr,
    .matmul_dw = nullptr,
    .matmul_dx = nullptr,
#include "compute/kernels/op_table.inl"
};

}  // namespace strata
