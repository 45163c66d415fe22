#include "engine/cache_type.h"

#include "compute/graph/matmul_nodes.h"

namespace strata {

DType suitable_cache_type(const Graph& graph, const CpuKernels& kernels) {
  if (!kernels.attends_in_bfloat) return DType::kF16;
  double rounded = 0, all = 0;
  for (const Node& node : graph.nodes()) {
    if (!is_matmul(node)) continue;
    const TensorType& weight = graph.type(node.inputs[1]);
    const double numbers = numbers_of(weight);
    all += numbers;
    if (has_whole_numbers(weight.dtype) || weight.dtype == DType::kBF16) rounded += numbers;
  }
  return 2 * rounded > all ? DType::kBF16 : DType::kF16;
}

}  // namespace strata
