// Mixture of experts: choose, group tokens by expert, one matmul per active expert, sum in router rank.
#include "compute/graph/ops/families.h"
#include "compute/graph/ops/ops.h"
#include "compute/kernels/cpu_kernels.h"

namespace strata::ops {
namespace {

std::string infer_route(Types in, const Attributes& a, std::vector<TensorType>& out) {
  const int64_t n_used = a.integer("n_used");
  if (in.empty() || in[0].shape.size() != 2) return "wants logits [T, n_experts]";
  const int64_t n_experts = in[0].last().factor;
  if (n_used < 1 || n_used > n_experts) return "n_used outside 1..n_experts";
  if (n_experts > kMaxExperts) return "more than " + std::to_string(kMaxExperts) + " experts";
  if (n_experts % a.integer("n_groups", 1) != 0) return "n_experts is no multiple of n_groups";
  out = {{DType::kI32, {in[0].shape[0], n_used}}, {DType::kF32, {in[0].shape[0], n_used}}};
  return {};
}

std::string infer_groups(Types in, const Attributes& a, std::vector<TensorType>& out) {
  if (in.size() != 1 || in[0].dtype != DType::kI32 || in[0].shape.size() != 2) return "wants ids [T, n_used] i32";
  const Dim tokens = in[0].shape[0];
  out = {{DType::kI32, {Dim(tokens.factor * in[0].last().factor, tokens.symbol)}},
         {DType::kI32, {a.integer("n_experts") + 1}}};
  return {};
}

std::string infer_expert_matmul(Types in, const Attributes& a, std::vector<TensorType>& out) {
  if (in.size() != 4 || in[1].shape.size() != 3 || in[0].last() != in[1].last()) {
    return "wants x [rows, k], w [n_experts, n, k], pairs and begin";
  }
  const Dim pairs = in[2].shape[0];
  const Dim rows = in[0].shape[0];
  if (rows != pairs && Dim(rows.factor * a.integer("n_used"), rows.symbol) != pairs)
    return "x has neither a row per token nor per pair";
  out = {{DType::kF32, {pairs, in[1].shape[1]}}};
  return {};
}

std::string infer_combine(Types in, const Attributes&, std::vector<TensorType>& out) {
  if (in.size() != 2 || in[1].shape.size() != 2) return "wants y [n_used * T, dim] and weights [T, n_used]";
  out = {{DType::kF32, {in[1].shape[0], in[0].last()}}};
  return {};
}

std::string infer_route_grad(Types in, const Attributes&, std::vector<TensorType>& out) {
  if (in.size() != 3 || in[0].rows() != in[1].rows()) return "wants dweights [T, n_used], logits [T, n_experts] and ids";
  out = {in[1]};
  return {};
}

std::string infer_combine_grad(Types in, const Attributes&, std::vector<TensorType>& out) {
  if (in.size() != 3 || in[0].last() != in[1].last()) return "wants dout [T, dim], y [n_used * T, dim] and weights";
  out = {in[1], in[2]};
  return {};
}

std::string infer_expert_matmul_dx(Types in, const Attributes& a, std::vector<TensorType>& out) {
  if (in.size() != 4 || in[1].shape.size() != 3 || in[0].last() != in[1].shape[1])
    return "wants dy [n_used * T, n], w [n_experts, n, k], pairs and begin";
  Dim rows = in[0].shape[0];
  if (a.integer("row_per_token") != 0) rows.factor /= a.integer("n_used");
  out = {{DType::kF32, {rows, in[1].last()}}};
  return {};
}

std::string infer_expert_matmul_dw(Types in, const Attributes& a, std::vector<TensorType>& out) {
  if (in.size() != 4) return "wants dy [n_used * T, n], x [rows, k], pairs and begin";
  out = {{DType::kF32, {Dim(a.integer("n_experts")), in[0].last(), in[1].last()}}};
  return {};
}

void route_gradient(GradientContext& c) {
  const Value ids{c.node.node, 0};
  c.d_inputs = {c.graph.add_op("route_grad", {c.d_outputs[1], c.inputs[0], ids}, c.attributes())};
}

void expert_matmul_gradient(GradientContext& c) {
  const Value dy = c.d_outputs[0], x = c.inputs[0], w = c.inputs[1], pairs = c.inputs[2], begin = c.inputs[3];
  const int64_t n_used = c.attributes().integer("n_used");
  const int64_t n_experts = c.graph.type(w).shape[0].factor;
  Attributes attributes{{"n_used", n_used}};
  if (n_used > 1 && c.graph.type(x).shape[0] != c.graph.type(dy).shape[0]) attributes.set("row_per_token", int64_t{1});
  const Value dx = c.graph.add_op("expert_matmul_dx", {dy, w, pairs, begin}, attributes);
  attributes.set("n_experts", n_experts);
  c.d_inputs = {dx, c.graph.add_op("expert_matmul_dw", {dy, x, pairs, begin}, std::move(attributes))};
}

void combine_gradient(GradientContext& c) {
  const Value grad = c.graph.add_op("combine_grad", {c.d_outputs[0], c.inputs[0], c.inputs[1]});
  c.d_inputs = {grad, {grad.node, 1}};
}

const OpDef kOps[] = {
    {.name = "route", .infer = infer_route, .gradient = route_gradient, .row_wise = true},
    {.name = "route_grad", .infer = infer_route_grad, .row_wise = true},
    {.name = "expert_groups", .infer = infer_groups},
    {.name = "expert_matmul", .infer = infer_expert_matmul, .gradient = expert_matmul_gradient},
    {.name = "expert_matmul_dx", .infer = infer_expert_matmul_dx},
    {.name = "expert_matmul_dw", .infer = infer_expert_matmul_dw},
    {.name = "combine", .infer = infer_combine, .gradient = combine_gradient, .row_wise = true},
    {.name = "combine_grad", .infer = infer_combine_grad},
};

}  // namespace

std::span<const OpDef> expert_ops() { return kOps; }

Routed route(Graph& g, Value logits, Value bias, const Route& route) {
  std::vector<Value> inputs{logits};
  if (bias.valid()) inputs.push_back(bias);
  Attributes attributes{{"n_used", route.n_used}, {"score", route.score}};
  if (route.normalize) attributes.set("normalize", int64_t{1});
  if (route.scale != 1) attributes.set("scale", route.scale);
  if (route.n_groups != 1) {
    attributes.set("n_groups", route.n_groups);
    attributes.set("n_groups_used", route.n_groups_used);
    if (route.n_group_best != 2) attributes.set("n_group_best", route.n_group_best);
  }
  const Value ids = g.add_op("route", std::move(inputs), std::move(attributes));
  return {ids, {ids.node, 1}};
}

ExpertGroups expert_groups(Graph& g, Value ids, int64_t n_experts) {
  const Value pairs = g.add_op("expert_groups", {ids}, {{"n_experts", n_experts}});
  return {pairs, {pairs.node, 1}};
}

Value expert_matmul(Graph& g, Value x, Value w, const ExpertGroups& groups, int64_t n_used) {
  return g.add_op("expert_matmul", {x, w, groups.pairs, groups.begin}, {{"n_used", n_used}});
}

Value combine(Graph& g, Value y, Value weights) { return g.add_op("combine", {y, weights}); }

}  // namespace strata::ops
