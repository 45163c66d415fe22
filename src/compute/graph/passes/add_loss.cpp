#include "compute/graph/passes/add_loss.h"

#include "base/check.h"
#include "compute/graph/ops/ops.h"

namespace strata {

Graph add_loss(const Graph& graph) {
  Graph result = graph;
  const Value logits = result.find_output("logits");
  CHECK(logits.valid());
  const Value targets = result.add_input("targets", {DType::kI32, {Dim::outputs()}});
  result.add_output("loss", ops::cross_entropy(result, logits, targets));
  return result;
}

}  // namespace strata
