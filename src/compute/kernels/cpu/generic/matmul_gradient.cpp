#include "compute/kernels/cpu/generic/lanes.h"
#include "compute/kernels/cpu/generic/matmul.h"

namespace strata::generic {
#include "compute/kernels/cpu/lanes/row.inl"
#include "compute/kernels/cpu/lanes/outer_products.inl"
#include "compute/kernels/cpu/lanes/matmul_gradient.inl"
}  // namespace strata::generic
