#include "compute/kernels/cpu/generic/ops.h"

#include "compute/kernels/cpu/generic/lanes.h"

namespace strata::generic {
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
}  // namespace strata::generic
