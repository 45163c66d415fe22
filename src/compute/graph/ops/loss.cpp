// The training loss.
#include "compute/graph/ops/families.h"
#include "compute/graph/ops/ops.h"

namespace strata::ops {
namespace {

std::string infer_cross_entropy(Types in, const Attributes&, std::vector<TensorType>& out) {
  if (in.size() != 2 || in[0].shape.size() != 2 || in[1].dtype != DType::kI32)
    return "wants logits [O, vocab] and targets [O] i32";
  out = {{DType::kF32, {in[0].shape[0]}}, in[0]};  // the loss of each row; the gradient of their mean by the logits
  return {};
}

std::string infer_mean_loss(Types in, const Attributes&, std::vector<TensorType>& out) {
  if (in.size() != 2 || in[0].shape != in[1].shape) return "wants losses [O] and targets [O]";
  out = {{DType::kF32, {1}}};
  return {};
}

// The mean is the root of every gradient (its own is one), and cross_entropy already knows the gradient of the mean.
void mean_loss_gradient(GradientContext& c) { c.d_inputs = {c.output(0), {}}; }
void cross_entropy_gradient(GradientContext& c) { c.d_inputs = {c.output(1), {}}; }

const OpDef kOps[] = {
    {.name = "cross_entropy", .infer = infer_cross_entropy, .gradient = cross_entropy_gradient, .row_wise = true},
    {.name = "mean_loss", .infer = infer_mean_loss, .gradient = mean_loss_gradient},
};

}  // namespace

std::span<const OpDef> loss_ops() { return kOps; }

Value cross_entropy(Graph& g, Value logits, Value targets) {
  return g.add_op("mean_loss", {g.add_op("cross_entropy", {logits, targets}), targets});
}

}  // namespace strata::ops
