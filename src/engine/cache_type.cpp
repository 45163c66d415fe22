#include "engine/cache_type.h"

#include "compute/graph/op.h"

namespace strata {

DType suitable_cache_type(const Graph& graph, const CpuKernels& kernels) {
  if (!kernels.attends_in_bfloat) return DType::kF16;
  double rounded = 0, all = 0;
  for (const Node& node : graph.nodes()) {
    if (node.kind != NodeKind::kOp || (node.op->name != "matmul" && node.op->name != "expert_matmul")) continue;
    const TensorType& weight = graph.type(node.inputs[1]);
    double numbers = 1;
    for (const Dim& dim : weight.shape) numbers *= static_cast<double>(dim.factor);
    all += numbers;
    if (has_whole_numbers(weight.dtype) || weight.dtype == DType::kBF16) rounded += numbers;
  }
  return 2 * rounded > all ? DType::kBF16 : DType::kF16;
}

}  // namespace strata
