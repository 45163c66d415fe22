// Rotary position embedding (https://arxiv.org/abs/2104.09864). Scaling rules act on the frequencies before the op.
#include "compute/graph/ops/families.h"
#include "compute/graph/ops/ops.h"

namespace strata::ops {
namespace {

std::string infer_rope(Types in, const Attributes& a, std::vector<TensorType>& out) {
  if (in.size() != 2 || in[0].shape.size() != 3 || !is_f32(in[0]) || in[1].dtype != DType::kI32) {
    return "wants x [T, n_heads, head_dim] and positions [T] i32";
  }
  const auto rotary_dim = static_cast<int64_t>(a.numbers("inv_freq").size()) * 2;
  if (rotary_dim == 0 || a.integer("offset") + rotary_dim > in[0].last().factor) return "rotates more than a head has";
  out = {in[0]};
  return {};
}

void rope_gradient(GradientContext& c) {
  Attributes attributes = c.attributes();
  attributes.set("inverse", int64_t{1});
  c.d_inputs = {c.graph.add_op("rope", {c.d_outputs[0], c.inputs[1]}, std::move(attributes)), {}};
}

const OpDef kOps[] = {
    {.name = "rope", .infer = infer_rope, .gradient = rope_gradient, .row_wise = true, .in_place = 0}};

}  // namespace

std::span<const OpDef> rope_ops() { return kOps; }

Value rope(Graph& g, Value x, Value positions, const Rope& rope) {
  Attributes attributes;
  if (rope.interleaved) attributes.set("interleaved", int64_t{1});
  if (rope.offset != 0) attributes.set("offset", rope.offset);
  if (rope.magnitude != 1) attributes.set("magnitude", rope.magnitude);
  attributes.set("inv_freq", rope.inv_freq);
  return g.add_op("rope", {x, positions}, std::move(attributes));
}

}  // namespace strata::ops
