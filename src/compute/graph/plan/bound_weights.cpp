#include "compute/graph/plan/bound_weights.h"

#include <set>

#include "compute/graph/op.h"
#include "compute/graph/passes/waves.h"
#include "compute/graph/plan/steps.h"

namespace strata {

std::optional<BoundWeight> bound_weight(const Graph& graph, const CpuKernels& kernels, const Node& op, size_t input) {
  const Node& weight = graph.node(graph.behind_views(op.inputs[input]));
  if (weight.kind != NodeKind::kWeight) return std::nullopt;
  BoundWeight bound{weight, nullptr};
  if (weight_form(graph, op, input) == WeightForm::kPacked) {
    const TensorType& type = graph.type(op.inputs[input]);
    bound.family = &family_for(kernels, type.dtype, type.last().factor);
  }
  return bound;
}

std::vector<BoundWeight> bound_weights(const Graph& graph, const CpuKernels& kernels, WeightBinder& binder) {
  std::vector<BoundWeight> out;
  std::set<std::string> known;
  const auto add = [&](const Node& op, size_t input) {
    std::optional<BoundWeight> bound = bound_weight(graph, kernels, op, input);
    if (!bound) return;
    if (weight_form(graph, op, input) == WeightForm::kRows && binder.stored_rows(bound->node) != nullptr) return;
    if (known.insert(bound->name()).second) out.push_back(*std::move(bound));
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
