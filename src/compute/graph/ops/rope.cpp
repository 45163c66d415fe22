// Rotary position embedding (https://arxiv.org/abs/2104.09864). Scaling rules act on the frequencies before the op.
#include "compute/graph/ops/families.h"
#include "compute/graph/ops/ops.h"

namespace strata::ops {
namespace {

std::string infer_rope(Types in, const Attributes& a, std::vector<TensorType>& out) {
  if (in.size() < 2 || in[0].shape.size() != 3 || !is_f32(in[0]) || in[1].dtype != DType::kI32) {
    return "wants x [T, n_heads, head_dim] and positions [T] i32";
  }
  const bool two_sets = a.has("long_inv_freq");
  if (two_sets && a.numbers("long_inv_freq").size() != a.numbers("inv_freq").size()) return "wants two equal sets";
  if (in.size() != (two_sets ? 3 : 2)) return "wants to know which tokens use the long frequencies, if there are any";
  const auto rotary_dim = static_cast<int64_t>(a.numbers("inv_freq").size()) * 2;
  if (rotary_dim == 0 || a.integer("offset") + rotary_dim > in[0].last().factor) return "rotates more than a head has";
  out = {in[0]};
  return {};
}

void rope_gradient(GradientContext& c) {
  Attributes attributes = c.attributes();
  attributes.set("inverse", int64_t{1});
  std::vector<Value> inputs(c.inputs.begin(), c.inputs.end());
  inputs[0] = c.d_outputs[0];
  c.d_inputs = {c.graph.add_op("rope", std::move(inputs), std::move(attributes))};
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
  if (rope.long_inv_freq.empty()) return g.add_op("rope", {x, positions}, std::move(attributes));
  attributes.set("long_inv_freq", rope.long_inv_freq);
  return g.add_op("rope", {x, positions, g.add_input("long_rope", {DType::kI32, {Dim::tokens()}})},
                  std::move(attributes));
}

}  // namespace strata::ops
