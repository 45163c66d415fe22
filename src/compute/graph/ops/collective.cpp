// Communication between ranks as ops, so that passes and gradients see it.
#include "compute/graph/ops/families.h"
#include "compute/graph/ops/ops.h"

namespace strata::ops {
namespace {

std::string infer_all_sum(Types in, const Attributes&, std::vector<TensorType>& out) {
  if (in.size() != 1 || !is_f32(in[0])) return "wants one fp32 value";
  out = {in[0]};
  return {};
}

// The sum's result is the same on every rank, and so is its gradient: each summand gets it as it is.
void all_sum_gradient(GradientContext& c) { c.d_inputs = {c.d_outputs[0]}; }

const OpDef kOps[] = {{.name = "all_sum", .infer = infer_all_sum, .gradient = all_sum_gradient, .in_place = 0}};

}  // namespace

std::span<const OpDef> collective_ops() { return kOps; }

Value all_sum(Graph& g, Value x) { return g.add_op("all_sum", {x}); }

}  // namespace strata::ops
