#include "compute/kernels/cpu/avx2/lanes.h"
#include "compute/kernels/cpu/avx2/matmul.h"

namespace strata::avx2 {
#include "compute/kernels/cpu/lanes/row.inl"
#include "compute/kernels/cpu/lanes/outer_products.inl"
#include "compute/kernels/cpu/lanes/matmul_gradient.inl"
using BFloatFactors = PlainFactors<BFloat>;
#include "compute/kernels/cpu/lanes/matmul_gradient_bfloat.inl"
}  // namespace strata::avx2
