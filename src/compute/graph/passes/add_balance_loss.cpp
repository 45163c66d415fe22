#include "compute/graph/passes/add_balance_loss.h"

#include "compute/graph/op.h"
#include "compute/graph/ops/ops.h"

namespace strata {

Result<Graph> add_balance_loss(const Graph& graph, double weight) {
  Graph result = graph;
  Value sum;
  double layers = 0;
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    const Node& node = graph.nodes()[i];
    if (node.kind != NodeKind::kOp || node.op->name != "route") continue;
    if (weight > 0 && !node.attributes.text("score").starts_with("softmax"))
      return invalid_argument("loss.balance: this model's routers do not choose by a softmax (leave it out)");
    const Value probabilities = result.add_op("softmax", {node.inputs[0]});
    const Value shares = ops::expert_shares(result, probabilities, {static_cast<int32_t>(i), 0});
    sum = sum.valid() ? ops::add(result, sum, shares) : shares;
    ++layers;
  }
  if (!sum.valid()) {
    if (weight > 0) return invalid_argument("loss.balance: this model has no experts (leave it out)");
    return result;
  }
  const Value shares = ops::scale(result, sum, 1 / layers);
  result.add_output("expert_shares", shares);
  result.add_output("balance", ops::balance_loss(result, shares, 1));
  if (weight == 0) return result;
  const Value part = ops::balance_loss(result, shares, weight);
  for (NamedValue& output : result.outputs()) {
    if (output.name == "loss") output.value = ops::add(result, output.value, part);
  }
  return result;
}

}  // namespace strata
