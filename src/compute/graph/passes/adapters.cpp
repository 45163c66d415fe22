#include "compute/graph/passes/adapters.h"

#include <algorithm>

#include "compute/graph/op.h"

namespace strata {
namespace {

// Where the adapted tensor's rows stand in the matmul's weight, when it is made of that tensor alone: ranges of
// [begin, end) by step. Empty: it is made of others.
std::vector<WeightPart> rows_of_tensor(const WeightRef& ref, const std::string& tensor) {
  std::vector<WeightPart> rows;
  for (const WeightPart& part : ref.parts) {
    if (part.tensor != tensor) return {};
    rows.push_back(part);
    if (ref.transpose) {  // stored as [k, n]
      rows.back().row_begin = part.col_begin;
      rows.back().row_end = part.col_end;
      rows.back().row_step = part.col_step;
    }
  }
  return rows;
}

// [slots, rank, k]: every matmul by rows of one tensor multiplies by the same first factor.
Value first_factor(Graph& g, const AdapterTarget& target, int64_t slots, int64_t k) {
  const std::string name = "lora_a." + target.weight;
  return g.add_weight(name, {DType::kF32, {slots, target.rank, k}}, {{{name, 0, slots * target.rank, 0, k}}, false, 1});
}

// [slots, n, rank]: those rows of the second factor, which has target.rows of them in each slot.
Value second_factor(Graph& g, const AdapterTarget& target, int64_t slots, int64_t n, const std::string& matmul,
                    const std::vector<WeightPart>& rows) {
  const std::string name = "lora_b." + target.weight;
  WeightRef ref;
  for (int64_t slot = 0; slot < slots; ++slot) {
    for (const WeightPart& part : rows) {
      const int64_t base = slot * target.rows;
      ref.parts.push_back({name, base + part.row_begin, base + part.row_end, 0, target.rank, part.row_step, 1});
    }
  }
  return g.add_weight("lora_b." + matmul, {DType::kF32, {slots, n, target.rank}}, std::move(ref));
}

bool fits(const AdapterTarget& target, const std::vector<WeightPart>& rows, const TensorType& weight) {
  return weight.shape.size() == 2 && weight.last() == Dim(target.cols) &&
         std::all_of(rows.begin(), rows.end(), [&](const WeightPart& part) { return part.row_end <= target.rows; });
}

}  // namespace

Result<Graph> add_adapters(const Graph& graph, const std::vector<AdapterTarget>& targets, int64_t n_slots) {
  Status status;
  Graph adapted = Rewriter(graph).run([&](Rewriter& r, int32_t index) -> Value {
    const Node& node = graph.nodes()[static_cast<size_t>(index)];
    if (node.kind != NodeKind::kOp || node.op->name != "matmul") return {};
    const Node& weight = graph.node(node.inputs[1]);
    const auto target = std::find_if(targets.begin(), targets.end(), [&](const AdapterTarget& t) {
      return !weight.weight.parts.empty() && weight.weight.parts[0].tensor == t.weight;
    });
    if (target == targets.end()) return {};
    const std::vector<WeightPart> rows = rows_of_tensor(weight.weight, target->weight);
    if (rows.empty()) return {};
    const TensorType type = graph.type(node.inputs[1]);
    if (!fits(*target, rows, type)) {
      status = invalid_argument("adapter: " + target->weight + ": [" + std::to_string(target->rows) + ", " +
                                std::to_string(target->cols) + "] is not how the model multiplies by it");
      return {};
    }
    Graph& g = r.to();
    const Value y = g.add_copy(node, r.map(node.inputs));
    const Value a = first_factor(g, *target, n_slots, target->cols);
    const Value b = second_factor(g, *target, n_slots, type.shape[0].factor, weight.name, rows);
    const Value slots = g.add_input("adapters", {DType::kI32, {Dim::tokens()}});
    return g.add_op("lora", {r.map(node.inputs[0]), y, a, b, slots});
  });
  RETURN_IF_ERROR(status);
  return adapted;
}

}  // namespace strata
