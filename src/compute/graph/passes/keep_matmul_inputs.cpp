#include "compute/graph/passes/keep_matmul_inputs.h"

#include "compute/graph/matmul_nodes.h"
#include "compute/graph/op.h"

namespace strata {

Graph keep_matmul_inputs(const Graph& graph) {
  Graph result = graph;
  for (const Node& node : graph.nodes()) {
    if (!is_matmul(node)) continue;
    const Node& weight = graph.node(node.inputs[1]);
    if (weight.kind != NodeKind::kWeight || result.find_output("input:" + weight.name).valid()) continue;
    result.add_output("input:" + weight.name, node.inputs[0]);
    if (node.op->name != "expert_matmul") continue;
    result.add_output("pairs:" + weight.name, node.inputs[2]);
    result.add_output("begin:" + weight.name, node.inputs[3]);
  }
  return result;
}

}  // namespace strata
