#include "compute/graph/passes/keep_expert_groups.h"

#include "compute/graph/op.h"

namespace strata {

std::string expert_groups_output(int layer) { return "experts:" + std::to_string(layer); }

Graph keep_expert_groups(const Graph& graph) {
  Graph result = graph;
  int layer = 0;
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    const Node& node = graph.nodes()[i];
    if (node.kind != NodeKind::kOp || node.op->name != "expert_groups") continue;
    result.add_output(expert_groups_output(layer++), {static_cast<int32_t>(i), 1});
  }
  return result;
}

}  // namespace strata
