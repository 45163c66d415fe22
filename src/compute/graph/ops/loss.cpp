// The training loss.
#include "compute/graph/ops/families.h"
#include "compute/graph/ops/ops.h"

namespace strata::ops {
namespace {

std::string infer_cross_entropy(Types in, const Attributes&, std::vector<TensorType>& out) {
  if (in.size() != 2 || in[0].shape.size() != 2 || in[1].dtype != DType::kI32) return "wants logits [O, vocab] and targets [O] i32";
  out = {{DType::kF32, {1}}, in[0]};  // the mean loss, and its gradient by the logits
  return {};
}

// The forward op already has the gradient; the loss is the root, so the incoming gradient is one.
void cross_entropy_gradient(GradientContext& c) { c.d_inputs = {c.output(1), {}}; }

const OpDef kOps[] = {{.name = "cross_entropy", .infer = infer_cross_entropy, .gradient = cross_entropy_gradient}};

}  // namespace

std::span<const OpDef> loss_ops() { return kOps; }

Value cross_entropy(Graph& g, Value logits, Value targets) { return g.add_op("cross_entropy", {logits, targets}); }

}  // namespace strata::ops
