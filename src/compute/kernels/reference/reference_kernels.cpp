#include "compute/kernels/reference/ops.h"

namespace strata {

namespace ops = reference;

const CpuKernels kReferenceKernels = {
    .name = "reference",
    .matmul = nullptr,
    .to_activation = nullptr,
    .matmul_dw = nullptr,
    .matmul_dx = nullptr,
#include "compute/kernels/op_table.inl"
};

}  // namespace strata
