#include "compute/kernels/cpu/avx512/ops.h"

#include "compute/kernels/cpu/avx512/lanes.h"

namespace strata::avx512 {
#include "compute/kernels/cpu/lanes/elementary.inl"
#include "compute/kernels/cpu/lanes/row.inl"
#include "compute/kernels/cpu/lanes/norm.inl"
#include "compute/kernels/cpu/lanes/distillation.inl"
#include "compute/kernels/cpu/lanes/elementwise.inl"
#include "compute/kernels/cpu/lanes/rope.inl"
#include "compute/kernels/cpu/lanes/experts.inl"
#include "compute/kernels/cpu/lanes/gradients.inl"
#include "compute/kernels/cpu/lanes/lora.inl"
#include "compute/kernels/cpu/lanes/optimizer.inl"
}  // namespace strata::avx512
