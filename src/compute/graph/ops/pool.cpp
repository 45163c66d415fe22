// One row for each sequence of a step: what encoders give for a whole text.
#include "compute/graph/ops/families.h"
#include "compute/graph/ops/ops.h"

namespace strata::ops {
namespace {

std::string infer_pool(Types in, const Attributes& a, std::vector<TensorType>& out) {
  if (in.size() != 1 || in[0].shape.size() != 2 || !is_f32(in[0])) return "wants x [T, dim]";
  const std::string rule = a.text("rule");
  if (rule != "first" && rule != "last" && rule != "mean") return "knows first, last and mean, not " + rule;
  out = {{DType::kF32, {Dim::sequences(), in[0].last()}}};
  return {};
}

std::string infer_pool_grad(Types in, const Attributes&, std::vector<TensorType>& out) {
  if (in.size() != 2 || in[0].last() != in[1].last()) return "wants dy [S, dim] and x [T, dim]";
  out = {in[1]};
  return {};
}

void pool_gradient(GradientContext& c) {
  c.d_inputs = {c.graph.add_op("pool_grad", {c.d_outputs[0], c.inputs[0]}, c.attributes())};
}

const OpDef kOps[] = {{.name = "pool", .infer = infer_pool, .gradient = pool_gradient},
                      {.name = "pool_grad", .infer = infer_pool_grad}};

}  // namespace

std::span<const OpDef> pool_ops() { return kOps; }

Value pool(Graph& g, Value x, const std::string& rule) { return g.add_op("pool", {x}, {{"rule", rule}}); }

}  // namespace strata::ops
