#include "compute/graph/plan/bound_weights.h"

#include <set>

#include "compute/graph/op.h"
#include "compute/graph/passes/waves.h"
#include "compute/graph/plan/steps.h"

namespace strata {
namespace {

Value without_views(const Graph& graph, Value value) {
  while (graph.node(value).kind == NodeKind::kOp && graph.node(value).op->view) value = graph.node(value).inputs[0];
  return value;
}

}  // namespace

std::vector<BoundWeight> bound_weights(const Graph& graph, const CpuKernels& kernels, WeightBinder& binder) {
  std::vector<BoundWeight> out;
  std::set<std::string> known;
  const auto add = [&](const Node& op, size_t input) {
    const Node& weight = graph.node(without_views(graph, op.inputs[input]));
    if (weight.kind != NodeKind::kWeight) return;
    const WeightForm form = weight_form(op, input);
    if (form == WeightForm::kRows && binder.stored_rows(weight) != nullptr) return;
    BoundWeight bound{weight, nullptr};
    if (form == WeightForm::kPacked) {
      const TensorType& type = graph.type(op.inputs[input]);
      bound.family = &family_for(kernels, type.dtype, type.last().factor);
    }
    if (known.insert(bound.name()).second) out.push_back(std::move(bound));
  };
  for (const Wave& wave : schedule_waves(graph).waves) {
    for (const Task& task : wave) {
      for (const int32_t index : task.nodes) {
        const Node& op = graph.nodes()[static_cast<size_t>(index)];
        for (size_t input = 0; input < op.inputs.size(); ++input) add(op, input);
      }
    }
  }
  return out;
}

}  // namespace strata
