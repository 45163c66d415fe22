#include "learn/train/step_cost.h"

#include <algorithm>

#include "compute/graph/matmul_nodes.h"
#include "compute/graph/op.h"
#include "compute/graph/passes/lower_attention.h"

namespace strata {
namespace {

constexpr double kPasses = 3;  // forward, and both factors of a product backward; one of them of a frozen weight

// Keys that `queries` queries of one text see, all together.
double pairs(int64_t queries, int64_t window, bool causal) {
  double sum = 0;
  for (int64_t i = 0; i < queries; ++i) {
    const int64_t reach = causal ? window - 1 : window / 2;
    const int64_t first = window == 0 ? 0 : std::max<int64_t>(0, i - reach);
    const int64_t last = causal ? i : window == 0 ? queries - 1 : std::min(queries - 1, i + reach);
    sum += static_cast<double>(last - first + 1);
  }
  return sum;
}

}  // namespace

StepCost::StepCost(const Graph& loss, const std::function<bool(const Node&)>& is_trained) {
  const Graph graph = expand_latent_attention(loss);
  for (const Node& node : graph.nodes()) {
    if (node.kind != NodeKind::kOp) continue;
    const std::string_view op = node.op->name;
    if (op == "attention") {
      const TensorType &q = graph.type(node.inputs[0]), &v = graph.type(node.inputs[2]);
      const auto numbers = static_cast<double>(q.shape[1].factor * (q.last().factor + v.last().factor));
      attention_.push_back({2 * kPasses * numbers, node.attributes.integer("window"),
                            node.attributes.integer("causal", 1) != 0});
      continue;
    }
    const bool experts = op == "expert_matmul";
    if (op != "matmul" && op != "head_matmul" && op != "head_loss" && !experts) continue;
    double numbers = numbers_of(graph.type(node.inputs[1]));
    if (experts) {
      numbers *= static_cast<double>(node.attributes.integer("n_used")) /
                 static_cast<double>(graph.type(node.inputs[1]).shape[0].factor);
    }
    const bool of_outputs = node.outputs[0].shape[0].symbol == Symbol::kOutputs;
    const Node& weight = graph.node(node.inputs[1]);
    const bool frozen = weight.kind == NodeKind::kWeight && is_trained && !is_trained(weight);
    (of_outputs ? per_output_ : per_token_) += 2 * (frozen ? kPasses - 1 : kPasses) * numbers;
  }
}

double StepCost::operations(const Batch& batch) const {
  double sum = per_token_ * static_cast<double>(batch.tokens()) + per_output_ * static_cast<double>(batch.outputs());
  for (const Attention& a : attention_) {
    for (size_t s = 0; s + 1 < batch.query_begin.size(); ++s)
      sum += a.per_pair * pairs(batch.query_begin[s + 1] - batch.query_begin[s], a.window, a.causal);
  }
  return sum;
}

}  // namespace strata
