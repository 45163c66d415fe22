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

const OpDef kOps[] = {{.name = "pool", .infer = infer_pool}};

}  // namespace

std::span<const OpDef> pool_ops() { return kOps; }

Value pool(Graph& g, Value x, const std::string& rule) { return g.add_op("pool", {x}, {{"rule", rule}}); }

}  // namespace strata::ops
