#include "compute/graph/passes/adapters.h"

#include <algorithm>

#include "compute/graph/op.h"

namespace strata {
namespace {

Value stacked(Graph& g, const std::string& name, int64_t slots, int64_t rows, int64_t cols) {
  return g.add_weight(name, {DType::kF32, {slots, rows, cols}}, {{{name, 0, slots * rows, 0, cols}}, false, 1});
}

}  // namespace

Graph add_adapters(const Graph& graph, const std::vector<AdapterTarget>& targets, int64_t n_slots) {
  return Rewriter(graph).run([&](Rewriter& r, int32_t index) -> Value {
    const Node& node = graph.nodes()[static_cast<size_t>(index)];
    if (node.kind != NodeKind::kOp || node.op->name != "matmul") return {};
    const std::string& weight = graph.node(node.inputs[1]).name;
    const auto target =
        std::find_if(targets.begin(), targets.end(), [&](const AdapterTarget& t) { return t.weight == weight; });
    if (target == targets.end()) return {};
    Graph& g = r.to();
    const Value y = g.add_copy(node, r.map(node.inputs));
    const TensorType type = graph.type(node.inputs[1]);
    const Value a = stacked(g, "lora_a." + weight, n_slots, target->rank, type.shape[1].factor);
    const Value b = stacked(g, "lora_b." + weight, n_slots, type.shape[0].factor, target->rank);
    const Value slots = g.add_input("adapters", {DType::kI32, {Dim::tokens()}});
    return g.add_op("lora", {r.map(node.inputs[0]), y, a, b, slots});
  });
}

}  // namespace strata
