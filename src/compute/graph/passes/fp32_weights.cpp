#include "compute/graph/passes/fp32_weights.h"

namespace strata {

Graph with_fp32_weights(const Graph& graph) {
  Graph result = graph;
  for (Node& node : result.nodes()) {
    if (node.kind == NodeKind::kWeight) node.outputs[0].dtype = DType::kF32;
  }
  return result;
}

}  // namespace strata
