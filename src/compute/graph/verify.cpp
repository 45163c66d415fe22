#include "compute/graph/verify.h"

#include <map>
#include <set>

#include "compute/graph/op.h"

namespace strata {
namespace {

Status fault(size_t index, const std::string& why) {
  return internal_error("graph: node %" + std::to_string(index) + ": " + why);
}

Status verify_op(const Graph& graph, size_t index) {
  const Node& node = graph.nodes()[index];
  std::vector<TensorType> in;
  for (const Value input : node.inputs) {
    if (input.node < 0 || static_cast<size_t>(input.node) >= index)
      return fault(index, "reads a value that does not come before it");
    if (static_cast<size_t>(input.output) >= graph.node(input).outputs.size())
      return fault(index, "reads an output that does not exist");
    in.push_back(graph.type(input));
  }
  std::vector<TensorType> out;
  if (const std::string error = node.op->infer(in, node.attributes, out); !error.empty()) {
    return fault(index, std::string(node.op->name) + ": " + error);
  }
  if (out != node.outputs) return fault(index, std::string(node.op->name) + ": recorded types differ from the rule's");
  if (node.chain >= 0 && !node.op->row_wise)
    return fault(index, std::string(node.op->name) + " is in a chain but not row-wise");
  return ok_status();
}

// One writer for each version of a state; nothing reads a version after it was written over.
Status verify_states(const Graph& graph) {
  std::map<Value, size_t> overwritten;
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    const Node& node = graph.nodes()[i];
    if (node.kind != NodeKind::kOp) continue;
    for (const Value input : node.inputs) {
      if (overwritten.count(input))
        return fault(i, "reads a state that node %" + std::to_string(overwritten[input]) + " has written over");
    }
    if (node.op->keeps_state) overwritten[node.inputs[0]] = i;
  }
  return ok_status();
}

}  // namespace

Status verify(const Graph& graph) {
  std::set<std::pair<NodeKind, std::string>> names;
  int segment = 0;
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    const Node& node = graph.nodes()[i];
    if (node.kind != NodeKind::kOp) {
      if (node.name.empty() || !names.emplace(node.kind, node.name).second) return fault(i, "has no name of its own");
      continue;
    }
    RETURN_IF_ERROR(verify_op(graph, i));
    if (node.segment < segment) return fault(i, "goes back to an earlier segment");
    segment = node.segment;
  }
  RETURN_IF_ERROR(verify_states(graph));
  for (const NamedValue& output : graph.outputs()) {
    if (!output.value.valid() || static_cast<size_t>(output.value.node) >= graph.nodes().size()) {
      return internal_error("graph: output \"" + output.name + "\" names no value");
    }
  }
  return ok_status();
}

}  // namespace strata
