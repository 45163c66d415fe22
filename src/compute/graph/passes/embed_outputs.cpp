#include "compute/graph/passes/embed_outputs.h"

#include "compute/graph/op.h"
#include "compute/graph/ops/ops.h"

namespace strata {

Result<Graph> embed_outputs(const Graph& graph) {
  const Value hidden = graph.find_tap("hidden");
  if (!hidden.valid()) return invalid_argument("the model's graph names no final hidden states to make embeddings of");
  Graph pooled = graph;
  pooled.outputs().clear();
  for (const auto& [output, rule] : {std::pair("cls", "first"), std::pair("mean", "mean"), std::pair("last", "last")}) {
    pooled.add_output(output, ops::pool(pooled, hidden, rule));
  }
  return prune(pooled);
}

}  // namespace strata
