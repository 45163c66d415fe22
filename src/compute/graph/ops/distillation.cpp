// What a teacher's head says, and the loss of a student's head against it (kernels: TopProbabilitiesArgs, DistillArgs).
#include "compute/graph/ops/families.h"
#include "compute/graph/ops/ops.h"

namespace strata::ops {
namespace {

// x [O, hidden] (or the form that the weights ask for), w [vocab, hidden], maybe bias -> ids [O, k], probabilities [O,
// k + 1].
std::string infer_head_top(Types in, const Attributes& a, std::vector<TensorType>& out) {
  if (in.size() < 2 || in[0].shape.size() != 2 || in[1].shape.size() != 2 || in[0].last() != in[1].last())
    return "wants x [O, hidden] and w [vocab, hidden]";
  const Dim vocab = in[1].shape[0];
  const int64_t k = a.integer("k");
  if (k < 1 || k > vocab.factor) return "wants k from 1 to the size of the vocabulary";
  if (in.size() > 2 && in[2].shape != Shape{vocab}) return "wants bias [vocab]";
  out = {{DType::kI32, {in[0].shape[0], Dim(k)}}, {DType::kF32, {in[0].shape[0], Dim(k + 1)}}};
  return {};
}

std::string check_head(Types in, size_t n_inputs) {
  if (in.size() < n_inputs || in[0].shape.size() != 2 || in[1].shape.size() != 2 || in[0].last() != in[1].last() ||
      in[2].dtype != DType::kI32 || in[2].shape != Shape{in[0].shape[0]}) {
    return "wants x [O, hidden], w [vocab, hidden] and targets [O] i32";
  }
  if (is_quantized(in[1].dtype)) return "wants a w of numbers";
  return check_behind_head(in, n_inputs);
}

// x, w, targets (as head_loss has them), the teacher's ids and probabilities, maybe bias, maybe w again -> the loss of
// each row, its divergence, the record; where gradients are wanted, that of the mean by x.
std::string infer_head_distill(Types in, const Attributes& a, std::vector<TensorType>& out) {
  if (std::string error = check_head(in, 5); !error.empty()) return error;
  const Dim rows = in[0].shape[0];
  if (in[3].shape.size() != 2 || in[3].dtype != DType::kI32 ||
      in[4].shape != Shape{rows, Dim(in[3].last().factor + 1)}) {
    return "wants ids [O, k] and probabilities [O, k + 1]";
  }
  out = {{DType::kF32, {rows}}, {DType::kF32, {rows}}, {DType::kF32, {rows, Dim(in[3].last().factor + 3)}}};
  if (a.integer("gradients") != 0) out.push_back({DType::kF32, in[0].shape});
  return {};
}

// x, w, targets, ids, record, maybe bias -> the gradients of the mean by w and bias.
std::string infer_head_distill_dw(Types in, const Attributes&, std::vector<TensorType>& out) {
  if (std::string error = check_head(in, 5); !error.empty()) return error;
  if (in[3].shape.size() != 2 || in[4].shape.size() != 2) return "wants ids [O, k] and the record";
  out = {{DType::kF32, in[1].shape}};
  if (in.size() > 5) out.push_back(in[5]);
  return {};
}

void head_distill_gradient(GradientContext& c) {
  ask_for_dx(c);
  std::vector<Value> inputs{c.inputs[0], c.inputs[1], c.inputs[2], c.inputs[3], c.output(2)};
  const bool has_bias = c.inputs.size() > 5;
  if (has_bias) inputs.push_back(c.inputs[5]);
  const Value dw = c.graph.add_op("head_distill_dw", std::move(inputs), c.attributes());
  c.d_inputs = {c.output(3), dw, {}, {}, {}};
  if (has_bias) c.d_inputs.push_back({dw.node, 1});
}

// x, teacher [T, dim] -> weight * mean (x - teacher)^2.
std::string infer_hidden_distance(Types in, const Attributes&, std::vector<TensorType>& out) {
  if (in.size() != 2 || in[0].shape.size() != 2 || in[0] != in[1] || !is_f32(in[0]))
    return "wants hidden states and a teacher's, of one width";
  out = {{DType::kF32, {Dim(1)}}};
  return {};
}

std::string infer_hidden_distance_grad(Types in, const Attributes&, std::vector<TensorType>& out) {
  out = {in[0]};
  return {};
}

// A root, as mean_loss is.
void hidden_distance_gradient(GradientContext& c) {
  c.d_inputs = {c.graph.add_op("hidden_distance_grad", {c.inputs[0], c.inputs[1]}, c.attributes()), {}};
}

const OpDef kOps[] = {
    {.name = "head_top", .infer = infer_head_top},
    {.name = "head_distill", .infer = infer_head_distill, .gradient = head_distill_gradient},
    {.name = "head_distill_dw", .infer = infer_head_distill_dw},
    {.name = "hidden_distance", .infer = infer_hidden_distance, .gradient = hidden_distance_gradient},
    {.name = "hidden_distance_grad", .infer = infer_hidden_distance_grad, .row_wise = true},
};

Attributes attributes_of(const HeadForm& form, double temperature) {
  Attributes attributes;
  if (form.scale != 1) attributes.set("scale", form.scale);
  if (form.bend != 0) attributes.set("bend", form.bend);
  if (temperature != 1) attributes.set("temperature", temperature);
  return attributes;
}

}  // namespace

std::span<const OpDef> distillation_ops() { return kOps; }

Taught head_top(Graph& g, const Head& head, int64_t k, double temperature) {
  std::vector<Value> inputs{head.x, head.w};
  if (head.bias.valid()) inputs.push_back(head.bias);
  Attributes attributes = attributes_of(head.form, temperature);
  attributes.set("k", k);
  const Value ids = g.add_op("head_top", std::move(inputs), std::move(attributes));
  return {ids, {ids.node, 1}};
}

DistillLoss head_distill(Graph& g, const Head& head, Value targets, const Taught& taught, const Distillation& form) {
  std::vector<Value> inputs{head.x, head.w, targets, taught.ids, taught.probabilities};
  if (head.bias.valid()) inputs.push_back(head.bias);
  Attributes attributes = attributes_of(head.form, form.temperature);
  attributes.set("share", form.share);
  if (form.beta != 0) attributes.set("beta", form.beta);
  const Value rows = g.add_op("head_distill", std::move(inputs), std::move(attributes));
  const Value divergences{rows.node, 1};
  return {g.add_op("mean_loss", {rows, targets}), g.add_op("mean_loss", {divergences, targets}), divergences};
}

Value hidden_distance(Graph& g, Value x, Value teacher, double weight) {
  return g.add_op("hidden_distance", {x, teacher}, {{"weight", weight}});
}

}  // namespace strata::ops
