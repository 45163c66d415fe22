#include "compute/kernels/cpu/generic/lanes.h"
#include "compute/kernels/cpu/generic/matmul.h"

namespace strata::generic {
#include "compute/kernels/cpu/lanes/row.inl"
#include "compute/kernels/cpu/lanes/outer_products.inl"
#include "compute/kernels/cpu/lanes/matmul_gradient.inl"
using BFloatFactors = PlainFactors<BFloat>;
#include "compute/kernels/cpu/lanes/matmul_gradient_bfloat.inl"
}  // namespace strata::generic
