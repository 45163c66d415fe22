#include "compute/kernels/cpu/avx512/lanes.h"
#include "compute/kernels/cpu/avx512vnni/matmul.h"

namespace strata::avx512vnni {
using namespace avx512;  // the lanes
#include "compute/kernels/cpu/lanes/row.inl"
#include "compute/kernels/cpu/lanes/outer_products.inl"
#include "compute/kernels/cpu/lanes/matmul_gradient.inl"
using BFloatFactors = PlainFactors<BFloat>;
#include "compute/kernels/cpu/lanes/matmul_gradient_bfloat.inl"
}  // namespace strata::avx512vnni
