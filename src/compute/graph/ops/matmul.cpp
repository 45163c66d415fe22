// Matrix products in their three forms (y = x W^T, dx = dy W, dW = dy^T x), the look-up of embeddings, the products per
// head, the conversion of activations, and low-rank adapters.
#include "compute/graph/ops/families.h"
#include "compute/graph/ops/ops.h"

namespace strata::ops {
namespace {

TensorType with_last(TensorType type, Dim last) {
  type.dtype = DType::kF32;
  type.shape.back() = last;
  return type;
}

std::string infer_matmul(Types in, const Attributes&, std::vector<TensorType>& out) {
  if (in.size() != 2 || in[1].shape.size() != 2) return "wants x [..., k] and w [n, k]";
  if (in[0].last() != in[1].last()) return "k differs: x " + to_string(in[0]) + ", w " + to_string(in[1]);
  out = {with_last(in[0], in[1].shape[0])};
  return {};
}

std::string infer_matmul_dx(Types in, const Attributes&, std::vector<TensorType>& out) {
  if (in.size() != 2 || in[1].shape.size() != 2 || in[0].last() != in[1].shape[0])
    return "wants dy [..., n] and w [n, k]";
  out = {with_last(in[0], in[1].last())};
  return {};
}

std::string infer_matmul_dw(Types in, const Attributes&, std::vector<TensorType>& out) {
  if (in.size() != 2 || in[0].rows() != in[1].rows()) return "wants dy [rows, n] and x [rows, k]";
  out = {{DType::kF32, {in[0].last(), in[1].last()}}};
  return {};
}

std::string infer_head_matmul(Types in, const Attributes&, std::vector<TensorType>& out) {
  if (in.size() != 2 || in[0].shape.size() != 3 || in[1].shape.size() != 3 || in[0].shape[1] != in[1].shape[0] ||
      in[0].last() != in[1].last()) {
    return "wants x [T, n_heads, k] and w [n_heads, n, k]";
  }
  out = {with_last(in[0], in[1].shape[1])};
  return {};
}

std::string infer_head_matmul_dx(Types in, const Attributes&, std::vector<TensorType>& out) {
  if (in.size() != 2 || in[0].shape.size() != 3 || in[1].shape.size() != 3 || in[0].last() != in[1].shape[1])
    return "wants dy [T, n_heads, n] and w [n_heads, n, k]";
  out = {with_last(in[0], in[1].last())};
  return {};
}

std::string infer_head_matmul_dw(Types in, const Attributes&, std::vector<TensorType>& out) {
  if (in.size() != 2 || in[0].shape.size() != 3 || in[1].shape.size() != 3 || in[0].shape[1] != in[1].shape[1])
    return "wants dy [T, n_heads, n] and x [T, n_heads, k]";
  out = {{DType::kF32, {in[0].shape[1], in[0].last(), in[1].last()}}};
  return {};
}

std::string infer_to_activation(Types in, const Attributes& a, std::vector<TensorType>& out) {
  const std::string form = a.text("form");
  const DType type = form == "ActBF16" ? DType::kActBF16 : form == "ActQ8x32" ? DType::kActQ8x32 : DType::kActQ8;
  if (in.size() != 1 || !is_f32(in[0])) return "wants fp32 values";
  if (in[0].last().factor % traits(type).block_elements != 0)
    return form + " wants whole blocks, got " + to_string(in[0]);
  out = {{type, in[0].shape}};
  return {};
}

// The second input is not read: what it depends on is computed before.
std::string infer_from_activation(Types in, const Attributes&, std::vector<TensorType>& out) {
  if (in.empty() || in.size() > 2 || in[0].dtype != DType::kActBF16) return "wants values as ActBF16";
  out = {{DType::kF32, in[0].shape}};
  return {};
}

std::string infer_embed(Types in, const Attributes&, std::vector<TensorType>& out) {
  if (in.size() != 2 || in[0].shape.size() != 2 || in[1].dtype != DType::kI32 || in[1].shape.size() != 1) {
    return "wants table [vocab, dim] and ids [T] i32";
  }
  out = {{DType::kF32, {in[1].shape[0], in[0].last()}}};
  return {};
}

std::string infer_embed_grad(Types in, const Attributes& a, std::vector<TensorType>& out) {
  if (in.size() != 2 || in[0].shape.size() != 2 || in[1].shape.size() != 1) return "wants dy [T, dim] and ids [T]";
  out = {{DType::kF32, {Dim(a.integer("vocab")), in[0].last()}}};
  return {};
}

std::string infer_lora_down(Types in, const Attributes& a, std::vector<TensorType>& out) {
  if (in.size() != 2 || in[0].shape.size() != 2 || !is_f32(in[0]) || in[1].dtype != DType::kI32)
    return "wants x [rows, k] and the adapter slots";
  out = {with_last(in[0], Dim(a.integer("count") * a.integer("rank")))};
  return {};
}

std::string infer_lora_up(Types in, const Attributes&, std::vector<TensorType>& out) {
  if (in.size() != 3 || in[0].shape.size() != 2 || in[1].shape.size() != 2 || in[0].shape[0] != in[1].shape[0])
    return "wants y [rows, n], what lora_down gave [rows, ranks] and the adapter slots";
  out = {in[0]};
  return {};
}

void matmul_gradient(GradientContext& c) {
  c.d_inputs = {c.graph.add_op("matmul_dx", {c.d_outputs[0], c.inputs[1]}),
                c.graph.add_op("matmul_dw", {c.d_outputs[0], c.inputs[0]})};
}

void head_matmul_gradient(GradientContext& c) {
  c.d_inputs = {c.graph.add_op("head_matmul_dx", {c.d_outputs[0], c.inputs[1]}),
                c.graph.add_op("head_matmul_dw", {c.d_outputs[0], c.inputs[0]})};
}

void embed_gradient(GradientContext& c) {
  const int64_t vocab = c.graph.type(c.inputs[0]).shape[0].factor;
  c.d_inputs = {c.graph.add_op("embed_grad", {c.d_outputs[0], c.inputs[1]}, {{"vocab", vocab}}), {}};
}

const OpDef kOps[] = {
    {.name = "matmul", .infer = infer_matmul, .gradient = matmul_gradient},
    {.name = "matmul_dx", .infer = infer_matmul_dx},
    {.name = "matmul_dw", .infer = infer_matmul_dw},
    {.name = "head_matmul", .infer = infer_head_matmul, .gradient = head_matmul_gradient, .row_wise = true},
    {.name = "head_matmul_dx", .infer = infer_head_matmul_dx, .row_wise = true},
    {.name = "head_matmul_dw", .infer = infer_head_matmul_dw},
    {.name = "to_activation", .infer = infer_to_activation, .row_wise = true},
    {.name = "from_activation", .infer = infer_from_activation, .row_wise = true},
    {.name = "embed", .infer = infer_embed, .gradient = embed_gradient, .row_wise = true},
    {.name = "embed_grad", .infer = infer_embed_grad},
    {.name = "lora_down", .infer = infer_lora_down},
    {.name = "lora_up", .infer = infer_lora_up, .in_place = 0},
};

}  // namespace

std::span<const OpDef> matmul_ops() { return kOps; }

Value embed(Graph& g, Value table, Value ids) { return g.add_op("embed", {table, ids}); }
Value matmul(Graph& g, Value x, Value w) { return g.add_op("matmul", {x, w}); }
Value head_matmul(Graph& g, Value x, Value w) { return g.add_op("head_matmul", {x, w}); }

}  // namespace strata::ops
