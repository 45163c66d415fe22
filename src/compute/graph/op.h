// What an op is: name, shape rule, gradient, properties that passes ask for. Ops are listed once, in ops/list.cpp; each
// family has one file in ops/. How an op is computed is in plan/: kernels by (op, dtypes, instruction set).
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compute/graph/graph.h"

namespace strata {

// What a gradient rule may use: the forward node (already in the graph), the gradient of each output (invalid where
// nothing depends on it), and `add`, which accumulates a gradient for input i.
struct GradientContext {
  Graph& graph;
  Value node;  // output 0 of the forward node
  std::span<const Value> inputs;
  std::span<const Value> d_outputs;
  std::vector<Value> d_inputs;  // filled by the rule; invalid: no gradient flows

  Value output(int i) const { return {node.node, i}; }
  Attributes attributes() const { return graph.node(node).attributes; }  // a copy: adding nodes moves the node
};

struct OpDef {
  std::string_view name;
  // Output types from input types and attributes; an error text when they do not fit.
  std::string (*infer)(std::span<const TensorType> in, const Attributes& attributes, std::vector<TensorType>& out);
  void (*gradient)(GradientContext&) = nullptr;  // null: the op has no gradient
  bool view = false;                             // output 0 is the memory of input 0 seen with another shape
  bool row_wise = false;     // row i of every output depends on row i of the row-shaped inputs alone
  int in_place = -1;         // output 0 may take the memory of this input when nothing else reads it
  bool keeps_state = false;  // output 0 is the state given as input 0, written
};

const OpDef& find_op(std::string_view name);  // CHECKs that it exists
const OpDef* find_op_or_null(std::string_view name);
std::span<const OpDef* const> all_ops();

}  // namespace strata
