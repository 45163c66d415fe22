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

// Values of heads may have weights for each head.
std::string infer_layer_norm(Types in, const Attributes&, std::vector<TensorType>& out) {
  if (in.size() < 2 || !is_f32(in[0])) return "wants fp32 values and weights";
  const Shape& shape = in[0].shape;
  for (const TensorType& w : in.subspan(1)) {
    const bool of_heads = shape.size() == 3 && w.shape == Shape{shape[1], shape[2]};
    if (w.shape != Shape{in[0].last()} && !of_heads) return "weights " + to_string(w) + " do not fit";
  }
  out = {in[0]};
  return {};
}

std::string infer_rms_norm_dx(Types in, const Attributes&, std::vector<TensorType>& out) {
  if (in.size() != 3 || in[0] != in[1]) return "wants dy, x and w";
  out = {in[1]};
  return {};
}

std::string infer_rms_norm_dw(Types in, const Attributes&, std::vector<TensorType>& out) {
  if (in.size() != 2 || in[0] != in[1]) return "wants dy and x";
  out = {{DType::kF32, {in[0].last()}}};
  return {};
}

void rms_norm_gradient(GradientContext& c) {
  const Attributes attributes = c.attributes();
  const Value dy = c.d_outputs[0];
  c.d_inputs = {c.graph.add_op("rms_norm_dx", {dy, c.inputs[0], c.inputs[1]}, attributes),
                c.graph.add_op("rms_norm_dw", {dy, c.inputs[0]}, attributes)};
}

std::string infer_layer_norm_dx(Types in, const Attributes&, std::vector<TensorType>& out) {
  if (in.size() != 3 || in[0] != in[1]) return "wants dy, x and w";
  out = {in[1]};
  return {};
}

// Output: the shape of the weight, [dim] or [n_heads, dim].
std::string infer_layer_norm_dw(Types in, const Attributes& a, std::vector<TensorType>& out) {
  if (in.size() != 2 || in[0] != in[1]) return "wants dy and x";
  const bool of_heads = a.integer("per_head") != 0;
  if (of_heads && in[0].shape.size() != 3) return "wants [T, n_heads, dim] for weights of heads";
  out = {{DType::kF32, of_heads ? Shape{in[0].shape[1], in[0].shape[2]} : Shape{in[0].last()}}};
  return {};
}

// The bias: sums over all rows, for weights of heads over tokens.
Value bias_gradient(Graph& g, Value dy, const Shape& bias) {
  if (bias.size() == 1) return g.add_op("sum_rows", {dy});
  const Value flat = reshape(g, dy, {g.type(dy).shape[0], bias[0].factor * bias[1].factor});
  return reshape(g, g.add_op("sum_rows", {flat}), bias);
}

void layer_norm_gradient(GradientContext& c) {
  const Attributes attributes = c.attributes();
  const Value dy = c.d_outputs[0];
  Attributes of_weight{{"eps", attributes.number("eps")}};
  if (c.graph.type(c.inputs[1]).shape.size() == 2) of_weight.set("per_head", int64_t{1});
  c.d_inputs = {c.graph.add_op("layer_norm_dx", {dy, c.inputs[0], c.inputs[1]}, attributes),
                c.graph.add_op("layer_norm_dw", {dy, c.inputs[0]}, std::move(of_weight))};
  if (c.inputs.size() > 2) c.d_inputs.push_back(bias_gradient(c.graph, dy, c.graph.type(c.inputs[2]).shape));
}

const OpDef kOps[] = {
    {.name = "rms_norm", .infer = infer_norm, .gradient = rms_norm_gradient, .row_wise = true},
    {.name = "rms_norm_dx", .infer = infer_rms_norm_dx, .row_wise = true},
    {.name = "rms_norm_dw", .infer = infer_rms_norm_dw},
    {.name = "layer_norm", .infer = infer_layer_norm, .gradient = layer_norm_gradient, .row_wise = true},
    {.name = "layer_norm_dx", .infer = infer_layer_norm_dx, .row_wise = true},
    {.name = "layer_norm_dw", .infer = infer_layer_norm_dw},
};

}  // namespace

std::span<const OpDef> norm_ops() { return kOps; }

Value rms_norm(Graph& g, Value x, Value w, double eps, double w_offset) {
  Attributes attributes{{"eps", eps}};
  if (w_offset != 0) attributes.set("w_offset", w_offset);
  return g.add_op("rms_norm", {x, w}, std::move(attributes));
}

Value layer_norm(Graph& g, Value x, Value w, Value b, double eps, double w_offset) {
  std::vector<Value> inputs{x, w};
  if (b.valid()) inputs.push_back(b);
  Attributes attributes{{"eps", eps}};
  if (w_offset != 0) attributes.set("w_offset", w_offset);
  return g.add_op("layer_norm", std::move(inputs), std::move(attributes));
}

}  // namespace strata::ops
