// The training loss: of logits, or of the head that makes them.
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

std::string check_head(Types in, size_t n_inputs) {
  if (in.size() < n_inputs || in[0].shape.size() != 2 || in[1].shape.size() != 2 || in[0].last() != in[1].last() ||
      in[2].dtype != DType::kI32) {
    return "wants x [O, hidden], w [vocab, hidden] and targets [O] i32";
  }
  return check_behind_head(in, n_inputs);
}

// x (fp32, or bfloat16 beside such a w), w, targets, maybe bias, maybe w again -> the loss of each row, log-sum-exp of
// its logits; where gradients are wanted, that of the mean by x.
std::string infer_head_loss(Types in, const Attributes& a, std::vector<TensorType>& out) {
  if (std::string error = check_head(in, 3); !error.empty()) return error;
  out = {{DType::kF32, {in[0].shape[0]}}, {DType::kF32, {in[0].shape[0]}}};
  if (a.integer("gradients") != 0) out.push_back({DType::kF32, in[0].shape});
  return {};
}

// x, w, targets, log-sum-exp, maybe bias -> the gradients of the mean by w and bias.
std::string infer_head_loss_dw(Types in, const Attributes&, std::vector<TensorType>& out) {
  if (std::string error = check_head(in, 4); !error.empty()) return error;
  if (in[3].shape != in[2].shape) return "wants log-sum-exp [O]";
  out = {{DType::kF32, in[1].shape}};
  if (in.size() > 4) out.push_back(in[4]);
  return {};
}

// The mean is the root of every gradient (its own is one), and cross_entropy already knows the gradient of the mean.
void mean_loss_gradient(GradientContext& c) { c.d_inputs = {c.output(0), {}}; }
void cross_entropy_gradient(GradientContext& c) { c.d_inputs = {c.output(1), {}}; }

void head_loss_gradient(GradientContext& c) {
  ask_for_dx(c);
  Attributes form = c.attributes();
  std::vector<Value> inputs{c.inputs[0], c.inputs[1], c.inputs[2], c.output(1)};
  const bool has_bias = c.inputs.size() > 3;
  if (has_bias) inputs.push_back(c.inputs[3]);
  const Value dw = c.graph.add_op("head_loss_dw", std::move(inputs), std::move(form));
  c.d_inputs = {c.output(2), dw, {}};
  if (has_bias) c.d_inputs.push_back({dw.node, 1});
}

const OpDef kOps[] = {
    {.name = "cross_entropy", .infer = infer_cross_entropy, .gradient = cross_entropy_gradient, .row_wise = true},
    {.name = "mean_loss", .infer = infer_mean_loss, .gradient = mean_loss_gradient},
    {.name = "head_loss", .infer = infer_head_loss, .gradient = head_loss_gradient},
    {.name = "head_loss_dw", .infer = infer_head_loss_dw},
};

}  // namespace

std::span<const OpDef> loss_ops() { return kOps; }

std::string check_behind_head(Types in, size_t n_inputs) {
  for (size_t i = n_inputs; i < in.size(); ++i) {
    const bool is_bias = i == n_inputs && in[i].shape == Shape{in[1].shape[0]};
    if (!is_bias && (in[i] != in[1] || i + 1 < in.size())) return "wants bias [vocab], or w again, behind the others";
  }
  return {};
}

// The head's logits are there only while its rows are computed, so the gradient by x is made then: a rule asks the
// forward op for it. Weights that are numbers are read as they lie; what is quantized has to be unpacked.
void ask_for_dx(GradientContext& c) {
  const TensorType x = c.graph.type(c.inputs[0]);
  const bool reads_rows = is_f32(c.graph.type(c.inputs[1]));
  Node& forward = c.graph.nodes()[static_cast<size_t>(c.node.node)];
  forward.attributes.set("gradients", int64_t{1});
  forward.outputs.push_back({DType::kF32, x.shape});
  if (reads_rows) forward.inputs.push_back(c.inputs[1]);
}

Value cross_entropy(Graph& g, Value logits, Value targets) {
  return g.add_op("mean_loss", {g.add_op("cross_entropy", {logits, targets}), targets});
}

Value head_cross_entropy(Graph& g, const Head& head, Value targets, double weight) {
  std::vector<Value> inputs{head.x, head.w, targets};
  if (head.bias.valid()) inputs.push_back(head.bias);
  Attributes attributes;
  if (head.form.scale != 1) attributes.set("scale", head.form.scale);
  if (head.form.bend != 0) attributes.set("bend", head.form.bend);
  Attributes of_mean;
  if (weight != 1) {
    attributes.set("weight", weight);
    of_mean.set("weight", weight);
  }
  const Value rows = g.add_op("head_loss", std::move(inputs), std::move(attributes));
  return g.add_op("mean_loss", {rows, targets}, std::move(of_mean));
}

}  // namespace strata::ops
