// Ops that move numbers and compute nothing.
#include <optional>

#include "compute/graph/ops/families.h"
#include "compute/graph/ops/ops.h"

namespace strata::ops {
namespace {

Dim elements(const TensorType& type) {
  Dim rows = type.rows();
  rows.factor *= type.last().factor;
  if (!type.last().is_constant()) rows.symbol = type.last().symbol;
  return rows;
}

std::string infer_reshape(Types in, const Attributes& a, std::vector<TensorType>& out) {
  const std::optional<Shape> shape = parse_shape(a.text("shape"));
  if (!shape) return "cannot read the shape";
  const TensorType now{in[0].dtype, *shape};
  if (elements(now) != elements(in[0])) return "cannot turn " + to_string(in[0]) + " into " + to_string(now);
  out = {now};
  return {};
}

std::string infer_slice(Types in, const Attributes& a, std::vector<TensorType>& out) {
  const int64_t begin = a.integer("begin");
  const int64_t end = a.integer("end");
  if (begin < 0 || begin >= end || end > in[0].last().factor) return "slice outside " + to_string(in[0]);
  out = {in[0]};
  out[0].shape.back() = end - begin;
  return {};
}

std::string infer_slice_grad(Types in, const Attributes& a, std::vector<TensorType>& out) {
  out = {in[0]};
  out[0].shape.back() = a.integer("dim");
  return {};
}

std::string infer_concat(Types in, const Attributes&, std::vector<TensorType>& out) {
  if (in.size() != 2 || in[0].rows() != in[1].rows() || in[0].dtype != in[1].dtype) return "wants equal rows";
  out = {in[0]};
  out[0].shape.back() = in[0].last().factor + in[1].last().factor;
  return {};
}

std::string infer_gather(Types in, const Attributes&, std::vector<TensorType>& out) {
  if (in.size() != 2 || in[0].shape.size() != 2 || in[1].dtype != DType::kI32)
    return "wants x [T, dim] and rows [O] i32";
  out = {{in[0].dtype, {in[1].shape[0], in[0].last()}}};
  return {};
}

std::string infer_scatter(Types in, const Attributes&, std::vector<TensorType>& out) {
  if (in.size() != 3) return "wants dy [O, dim], rows [O] and a value with the shape of the result";
  out = {in[2]};
  return {};
}

void reshape_gradient(GradientContext& c) {
  c.d_inputs = {reshape(c.graph, c.d_outputs[0], c.graph.type(c.inputs[0]).shape)};
}

void slice_gradient(GradientContext& c) {
  c.d_inputs = {
      c.graph.add_op("slice_grad", {c.d_outputs[0]},
                     {{"begin", c.attributes().integer("begin")}, {"dim", c.graph.type(c.inputs[0]).last().factor}})};
}

void concat_gradient(GradientContext& c) {
  const int64_t a = c.graph.type(c.inputs[0]).last().factor;
  const int64_t b = c.graph.type(c.inputs[1]).last().factor;
  c.d_inputs = {slice(c.graph, c.d_outputs[0], 0, a), slice(c.graph, c.d_outputs[0], a, a + b)};
}

void gather_gradient(GradientContext& c) {
  c.d_inputs = {c.graph.add_op("scatter_rows", {c.d_outputs[0], c.inputs[1], c.inputs[0]}), {}};
}

const OpDef kOps[] = {
    {.name = "reshape", .infer = infer_reshape, .gradient = reshape_gradient, .view = true, .row_wise = true},
    {.name = "slice", .infer = infer_slice, .gradient = slice_gradient, .row_wise = true},
    {.name = "slice_grad", .infer = infer_slice_grad, .row_wise = true},
    {.name = "concat", .infer = infer_concat, .gradient = concat_gradient, .row_wise = true},
    {.name = "gather_rows", .infer = infer_gather, .gradient = gather_gradient},
    {.name = "scatter_rows", .infer = infer_scatter},
};

}  // namespace

std::span<const OpDef> shape_ops() { return kOps; }

Value reshape(Graph& g, Value x, Shape shape) { return g.add_op("reshape", {x}, {{"shape", to_string(shape)}}); }
Value slice(Graph& g, Value x, int64_t begin, int64_t end) {
  return g.add_op("slice", {x}, {{"begin", begin}, {"end", end}});
}
Value concat(Graph& g, Value a, Value b) { return g.add_op("concat", {a, b}); }
Value gather_rows(Graph& g, Value x, Value rows) { return g.add_op("gather_rows", {x, rows}); }

}  // namespace strata::ops
