#include "compute/graph/passes/quantize.h"

#include <map>

#include "compute/graph/op.h"
#include "compute/graph/plan/steps.h"

namespace strata {

Graph quantize(const Graph& graph, const CpuKernels& kernels) {
  std::map<std::pair<Value, DType>, Value> converted;
  return Rewriter(graph).run([&](Rewriter& r, int32_t index) -> Value {
    const Node& node = graph.nodes()[static_cast<size_t>(index)];
    if (node.kind != NodeKind::kOp) return {};
    const std::string_view op = node.op->name;
    if (op != "matmul" && op != "expert_matmul" && op != "head_top") return {};
    const TensorType& weight = graph.type(node.inputs[1]);
    const DType form = family_for(kernels, weight.dtype, weight.last().factor).activation;
    if (form == DType::kF32) return {};
    std::vector<Value> inputs = r.map(node.inputs);
    Value& now = converted[{inputs[0], form}];
    if (!now.valid()) now = r.to().add_op("to_activation", {inputs[0]}, {{"form", std::string(name(form))}});
    inputs[0] = now;
    const Value copy = r.to().add_copy(node, std::move(inputs));
    for (int32_t i = 1; i < static_cast<int32_t>(node.outputs.size()); ++i) r.replace({index, i}, {copy.node, i});
    return copy;
  });
}

}  // namespace strata
