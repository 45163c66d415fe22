#include "compute/kernels/cpu/avx512/lanes.h"
#include "compute/kernels/cpu/avx512/matmul.h"

namespace strata::avx512 {
#include "compute/kernels/cpu/lanes/row.inl"
#include "compute/kernels/cpu/lanes/outer_products.inl"
#include "compute/kernels/cpu/lanes/matmul_gradient.inl"
}  // namespace strata::avx512
