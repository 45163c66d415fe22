#include "compute/graph/passes/quantize.h"

#include <map>

#include "compute/graph/op.h"
#include "compute/graph/plan/steps.h"

namespace strata {

Graph quantize(const Graph& graph, const CpuKernels& kernels) {
  std::map<std::pair<Value, DType>, Value> converted;
  return Rewriter(graph).run([&](Rewriter& r, int32_t index) -> Value {
    const Node& node = graph.nodes()[static_cast<size_t>(index)];
    if (node.kind != NodeKind::kOp || (node.op->name != "matmul" && node.op->name != "expert_matmul")) return {};
    const TensorType& weight = graph.type(node.inputs[1]);
    const DType form = family_for(kernels, weight.dtype, weight.last().factor).activation;
    if (form == DType::kF32) return {};
    std::vector<Value> inputs = r.map(node.inputs);
    Value& now = converted[{inputs[0], form}];
    if (!now.valid()) now = r.to().add_op("to_activation", {inputs[0]}, {{"form", std::string(name(form))}});
    inputs[0] = now;
    return r.to().add_copy(node, std::move(inputs));
  });
}

}  // namespace strata
