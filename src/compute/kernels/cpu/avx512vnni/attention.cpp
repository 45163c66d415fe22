#include "compute/kernels/cpu/avx512/lanes.h"
#include "compute/kernels/cpu/avx512vnni/ops.h"

namespace strata::avx512vnni {
using namespace avx512;  // the lanes
#include "compute/kernels/cpu/lanes/elementary.inl"
#include "compute/kernels/cpu/lanes/row.inl"
#include "compute/kernels/cpu/lanes/cache_write.inl"
#include "compute/kernels/cpu/lanes/attention_items.inl"
#include "compute/kernels/cpu/lanes/attention_state.inl"
#include "compute/kernels/cpu/lanes/cache_read.inl"
#include "compute/kernels/cpu/lanes/attention.inl"
#include "compute/kernels/cpu/lanes/segment_attention.inl"
#include "compute/kernels/cpu/lanes/outer_products.inl"
#include "compute/kernels/cpu/lanes/segment_attention_grad.inl"
}  // namespace strata::avx512vnni
