// The graph as people read it: one node a line, and as Graphviz.
#include <algorithm>

#include "compute/graph/graph.h"
#include "compute/graph/op.h"

namespace strata {
namespace {

std::string value_name(Value value) {
  return "%" + std::to_string(value.node) + (value.output != 0 ? "." + std::to_string(value.output) : "");
}

std::string types_text(const Node& node) {
  std::string text;
  for (const TensorType& type : node.outputs) text += (text.empty() ? "" : " ") + to_string(type);
  return text;
}

std::string inputs_text(const Node& node) {
  std::string text;
  for (const Value input : node.inputs) text += (text.empty() ? "" : ", ") + value_name(input);
  return text;
}

std::string node_text(const Node& node) {
  switch (node.kind) {
    case NodeKind::kWeight: {
      const std::string ref = to_string(node.weight);
      return "weight \"" + node.name + "\"" + (ref.empty() ? "" : " = " + ref) + (node.streamed ? "  {streamed}" : "");
    }
    case NodeKind::kInput:
      return "input \"" + node.name + "\"";
    case NodeKind::kState:
      return "state \"" + node.name + "\" (" + to_string(node.attributes) + ")";
    case NodeKind::kOp:
      break;
  }
  const std::string attributes = to_string(node.attributes);
  return std::string(node.op->name) + "(" + inputs_text(node) + (attributes.empty() ? "" : "; " + attributes) + ")";
}

std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '"' ? std::string("\\\"") : std::string(1, c);
  return out;
}

}  // namespace

std::string to_string(const WeightRef& ref) {
  const auto range = [](int64_t begin, int64_t end, int64_t step) {
    return std::to_string(begin) + ":" + std::to_string(end) + (step == 1 ? "" : ":" + std::to_string(step));
  };
  std::string text;
  for (const WeightPart& part : ref.parts) {
    text += (text.empty() ? "" : " + ") + part.tensor + "[" + range(part.row_begin, part.row_end, part.row_step) +
            ", " + range(part.col_begin, part.col_end, part.col_step) + "]";
  }
  if (ref.transpose) text += " transposed";
  if (ref.scale != 1) text += " * " + std::to_string(ref.scale);
  return text;
}

std::string to_text(const Graph& graph) {
  std::string text;
  int segment = 0;
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    const Node& node = graph.nodes()[i];
    if (node.kind == NodeKind::kOp && node.segment != segment) {
      segment = node.segment;
      text += "--- segment " + std::to_string(segment) + "\n";
    }
    text += "%" + std::to_string(i) + " " + types_text(node) + " = " + node_text(node);
    if (node.chain >= 0) text += "  {chain " + std::to_string(node.chain) + "}";
    text += "\n";
  }
  for (const NamedValue& output : graph.outputs())
    text += "output \"" + output.name + "\" = " + value_name(output.value) + "\n";
  for (const NamedValue& tap : graph.taps()) text += "tap \"" + tap.name + "\" = " + value_name(tap.value) + "\n";
  return text;
}

std::string to_dot(const Graph& graph) {
  std::string text = "digraph model {\n  rankdir=TB; node [shape=box, fontname=\"monospace\"];\n";
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    const Node& node = graph.nodes()[i];
    const std::string label =
        (node.kind == NodeKind::kOp ? std::string(node.op->name) : node.name) + "\\n" + types_text(node);
    const char* style = node.kind == NodeKind::kOp      ? ""
                        : node.kind == NodeKind::kState ? ", style=bold"
                                                        : ", style=dashed";
    text += "  n" + std::to_string(i) + " [label=\"" + escaped(label) + "\"" + style + "];\n";
    for (const Value input : node.inputs)
      text += "  n" + std::to_string(input.node) + " -> n" + std::to_string(i) + ";\n";
  }
  return text + "}\n";
}

}  // namespace strata
