// How evenly a router spreads tokens over experts, and the loss that makes it even (https://arxiv.org/abs/2101.03961,
// section 2.2): n_experts * sum of f_e * P_e, f_e the tokens that chose expert e and P_e its mean probability.
#include "compute/graph/ops/families.h"
#include "compute/graph/ops/ops.h"

namespace strata::ops {
namespace {

// probabilities [T, n_experts], ids [T, n_used] -> [2, n_experts]: of each expert the share of tokens that chose it,
// and its mean probability. What is counted has no gradient.
std::string infer_shares(Types in, const Attributes&, std::vector<TensorType>& out) {
  if (in.size() != 2 || in[0].shape.size() != 2 || !is_f32(in[0]) || in[1].dtype != DType::kI32 ||
      in[1].shape.size() != 2 || in[0].shape[0] != in[1].shape[0]) {
    return "wants probabilities [T, n_experts] and ids [T, n_used] i32";
  }
  out = {{DType::kF32, {Dim(2), in[0].last()}}};
  return {};
}

std::string infer_shares_grad(Types in, const Attributes&, std::vector<TensorType>& out) {
  if (in.size() != 2 || in[0].last() != in[1].last()) return "wants dshares [2, n_experts] and probabilities";
  out = {in[1]};
  return {};
}

std::string infer_balance(Types in, const Attributes&, std::vector<TensorType>& out) {
  if (in.size() != 1 || in[0].shape.size() != 2 || in[0].shape[0] != Dim(2)) return "wants shares [2, n_experts]";
  out = {{DType::kF32, {Dim(1)}}};
  return {};
}

std::string infer_balance_grad(Types in, const Attributes&, std::vector<TensorType>& out) {
  out = {in[0]};
  return {};
}

void shares_gradient(GradientContext& c) {
  c.d_inputs = {c.graph.add_op("expert_shares_grad", {c.d_outputs[0], c.inputs[0]}), {}};
}

// A root, as mean_loss is: its own gradient is one.
void balance_gradient(GradientContext& c) {
  c.d_inputs = {c.graph.add_op("balance_loss_grad", {c.inputs[0]}, c.attributes())};
}

const OpDef kOps[] = {
    {.name = "expert_shares", .infer = infer_shares, .gradient = shares_gradient},
    {.name = "expert_shares_grad", .infer = infer_shares_grad},
    {.name = "balance_loss", .infer = infer_balance, .gradient = balance_gradient},
    {.name = "balance_loss_grad", .infer = infer_balance_grad},
};

}  // namespace

std::span<const OpDef> balance_ops() { return kOps; }

Value expert_shares(Graph& g, Value probabilities, Value ids) {
  return g.add_op("expert_shares", {probabilities, ids});
}

Value balance_loss(Graph& g, Value shares, double weight) {
  Attributes attributes;
  if (weight != 1) attributes.set("weight", weight);
  return g.add_op("balance_loss", {shares}, std::move(attributes));
}

}  // namespace strata::ops
