// Ops on numbers one by one, and the softmax over the last dimension.
#include "compute/graph/ops/families.h"
#include "compute/graph/ops/ops.h"

namespace strata::ops {
namespace {

std::string infer_same(Types in, const Attributes&, std::vector<TensorType>& out) {
  if (in.empty() || !is_f32(in[0])) return "wants fp32 values";
  for (const TensorType& type : in) {
    if (type != in[0]) return "wants inputs of one shape, got " + to_string(in[0]) + " and " + to_string(type);
  }
  out = {in[0]};
  return {};
}

std::string infer_bias(Types in, const Attributes&, std::vector<TensorType>& out) {
  if (in.size() != 2 || in[1].shape != Shape{in[0].last()}) return "wants x [..., dim] and bias [dim]";
  out = {in[0]};
  return {};
}

std::string infer_gated_grad(Types in, const Attributes&, std::vector<TensorType>& out) {
  if (in.size() != 3 || in[0] != in[1] || in[0] != in[2]) return "wants dy, gate and up of one shape";
  out = {in[0], in[0]};
  return {};
}

std::string infer_pair(Types in, const Attributes&, std::vector<TensorType>& out) {
  if (in.size() != 2 || !is_f32(in[0]) || in[0] != in[1]) return "wants gate and up of one shape";
  out = {in[0]};
  return {};
}

std::string infer_sum_rows(Types in, const Attributes&, std::vector<TensorType>& out) {
  if (in.size() != 1 || !is_f32(in[0])) return "wants one fp32 value";
  out = {{DType::kF32, {in[0].last()}}};
  return {};
}

void add_gradient(GradientContext& c) { c.d_inputs = {c.d_outputs[0], c.d_outputs[0]}; }

void mul_gradient(GradientContext& c) {
  c.d_inputs = {mul(c.graph, c.d_outputs[0], c.inputs[1]), mul(c.graph, c.d_outputs[0], c.inputs[0])};
}

void scale_gradient(GradientContext& c) {
  c.d_inputs = {scale(c.graph, c.d_outputs[0], c.attributes().number("factor"))};
}

void bias_gradient(GradientContext& c) { c.d_inputs = {c.d_outputs[0], c.graph.add_op("sum_rows", {c.d_outputs[0]})}; }

void activate_gradient(GradientContext& c) {
  c.d_inputs = {c.graph.add_op("activate_grad", {c.d_outputs[0], c.inputs[0]}, c.attributes())};
}

void gated_gradient(GradientContext& c) {
  const Value grad = c.graph.add_op("gated_grad", {c.d_outputs[0], c.inputs[0], c.inputs[1]}, c.attributes());
  c.d_inputs = {grad, {grad.node, 1}};
}

void clamped_gated_gradient(GradientContext& c) {
  const Value grad = c.graph.add_op("clamped_gated_grad", {c.d_outputs[0], c.inputs[0], c.inputs[1]}, c.attributes());
  c.d_inputs = {grad, {grad.node, 1}};
}

void clamp_gradient(GradientContext& c) {
  c.d_inputs = {c.graph.add_op("clamp_grad", {c.d_outputs[0], c.inputs[0]}, c.attributes())};
}

void softmax_gradient(GradientContext& c) {
  c.d_inputs = {c.graph.add_op("softmax_grad", {c.d_outputs[0], c.output(0)})};
}

const OpDef kOps[] = {
    {.name = "add", .infer = infer_same, .gradient = add_gradient, .row_wise = true, .in_place = 0},
    {.name = "mul", .infer = infer_same, .gradient = mul_gradient, .row_wise = true, .in_place = 0},
    {.name = "scale", .infer = infer_same, .gradient = scale_gradient, .row_wise = true, .in_place = 0},
    {.name = "clamp", .infer = infer_same, .gradient = clamp_gradient, .row_wise = true, .in_place = 0},
    {.name = "clamp_grad", .infer = infer_same, .row_wise = true, .in_place = 0},
    {.name = "add_bias", .infer = infer_bias, .gradient = bias_gradient, .row_wise = true, .in_place = 0},
    {.name = "activate", .infer = infer_same, .gradient = activate_gradient, .row_wise = true, .in_place = 0},
    {.name = "activate_grad", .infer = infer_same, .row_wise = true},
    {.name = "gated", .infer = infer_same, .gradient = gated_gradient, .row_wise = true, .in_place = 0},
    {.name = "gated_grad", .infer = infer_gated_grad, .row_wise = true},
    {.name = "clamped_gated", .infer = infer_pair, .gradient = clamped_gated_gradient, .row_wise = true, .in_place = 0},
    {.name = "clamped_gated_grad", .infer = infer_gated_grad, .row_wise = true},
    {.name = "softmax", .infer = infer_same, .gradient = softmax_gradient, .row_wise = true, .in_place = 0},
    {.name = "softmax_grad", .infer = infer_same, .row_wise = true, .in_place = 0},
    {.name = "sum_rows", .infer = infer_sum_rows},
};

}  // namespace

std::span<const OpDef> elementwise_ops() { return kOps; }

Value add(Graph& g, Value a, Value b) { return g.add_op("add", {a, b}); }
Value mul(Graph& g, Value a, Value b) { return g.add_op("mul", {a, b}); }
Value scale(Graph& g, Value x, double factor) { return g.add_op("scale", {x}, {{"factor", factor}}); }
Value clamp(Graph& g, Value x, double limit) { return g.add_op("clamp", {x}, {{"limit", limit}}); }
Value add_bias(Graph& g, Value x, Value bias) { return g.add_op("add_bias", {x, bias}); }
Value activate(Graph& g, Value x, const std::string& function) {
  return g.add_op("activate", {x}, {{"function", function}});
}
Value gated(Graph& g, Value gate, Value up, const std::string& function) {
  return g.add_op("gated", {gate, up}, {{"function", function}});
}

Value clamped_gated(Graph& g, Value gate, Value up, double alpha, double limit) {
  return g.add_op("clamped_gated", {gate, up}, {{"alpha", alpha}, {"limit", limit}});
}

}  // namespace strata::ops
