// Normalizations over the last dimension.
#include "compute/graph/ops/families.h"
#include "compute/graph/ops/ops.h"

namespace strata::ops {
namespace {

std::string infer_norm(Types in, const Attributes&, std::vector<TensorType>& out) {
  if (in.empty() || !is_f32(in[0])) return "wants fp32 values";
  for (const TensorType& w : in.subspan(1)) {
    if (w.shape != Shape{in[0].last()}) return "wants weights [" + to_string(in[0].last()) + "], got " + to_string(w);
  }
  out = {in[0]};
  return {};
}

std::string infer_rms_norm_grad(Types in, const Attributes&, std::vector<TensorType>& out) {
  if (in.size() != 3 || in[0] != in[2]) return "wants x, w and dy as x";
  out = {in[0], in[1]};
  return {};
}

void rms_norm_gradient(GradientContext& c) {
  const Attributes& a = c.attributes();
  const Value grad = c.graph.add_op("rms_norm_grad", {c.inputs[0], c.inputs[1], c.d_outputs[0]},
                                    {{"eps", a.number("eps")}, {"w_offset", a.number("w_offset")}});
  c.d_inputs = {grad, {grad.node, 1}};
}

const OpDef kOps[] = {
    {.name = "rms_norm", .infer = infer_norm, .gradient = rms_norm_gradient, .row_wise = true},
    {.name = "rms_norm_grad", .infer = infer_rms_norm_grad},
    {.name = "layer_norm", .infer = infer_norm, .row_wise = true},
};

}  // namespace

std::span<const OpDef> norm_ops() { return kOps; }

Value rms_norm(Graph& g, Value x, Value w, double eps, double w_offset) {
  Attributes attributes{{"eps", eps}};
  if (w_offset != 0) attributes.set("w_offset", w_offset);
  return g.add_op("rms_norm", {x, w}, std::move(attributes));
}

Value layer_norm(Graph& g, Value x, Value w, Value b, double eps) {
  std::vector<Value> inputs{x, w};
  if (b.valid()) inputs.push_back(b);
  return g.add_op("layer_norm", std::move(inputs), {{"eps", eps}});
}

}  // namespace strata::ops
