#include "compute/kernels/cpu/avx512/ops.h"
#include "compute/kernels/cpu/avx512vnni/matmul.h"
#include "compute/kernels/cpu/avx512vnni/ops.h"

namespace strata {
namespace {

namespace ops = avx512;

// Attention reads caches of BF16, Q8 and Q4 in fp32, matmuls BF16 weights; all else is as with BF16.
constexpr CpuKernels without_bfloat() {
  CpuKernels table = {
      .name = "avx512vnni",
      .matmul = kAvx512VnniFamilies.of,
      .to_activation = avx512::to_activation,
      .matmul_dw = avx512::matmul_dw,
      .matmul_dx = avx512::matmul_dx,
      .matmul_dw_bfloat = avx512vnni::matmul_dw_bfloat,
      .matmul_dx_bfloat = avx512vnni::matmul_dx_bfloat,
#include "compute/kernels/op_table.inl"
  };
  table.cache_write = avx512vnni::cache_write;
  table.attention_items = avx512vnni::attention_items;
  table.attention_workspace = avx512vnni::attention_workspace;
  table.attention = avx512vnni::attention;
  table.segment_attention_items = avx512vnni::segment_attention_items;
  table.segment_attention_workspace = avx512vnni::segment_attention_workspace;
  table.segment_attention = avx512vnni::segment_attention;
  table.segment_attention_grad_items = avx512vnni::segment_attention_grad_items;
  table.segment_attention_grad = avx512vnni::segment_attention_grad;
  return table;
}

}  // namespace

constexpr CpuKernels kAvx512VnniKernels = without_bfloat();

}  // namespace strata
