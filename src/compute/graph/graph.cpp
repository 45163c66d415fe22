#include "compute/graph/graph.h"

#include <algorithm>

#include "base/check.h"
#include "compute/graph/op.h"

namespace strata {

Value Graph::add_weight(std::string name, TensorType type, WeightRef ref) {
  if (const Value known = find(NodeKind::kWeight, name); known.valid()) {
    CHECK(this->type(known) == type);
    return known;
  }
  Node node;
  node.kind = NodeKind::kWeight;
  node.name = std::move(name);
  node.outputs = {std::move(type)};
  node.weight = std::move(ref);
  nodes_.push_back(std::move(node));
  return {static_cast<int32_t>(nodes_.size()) - 1, 0};
}

Value Graph::add_input(std::string name, TensorType type) {
  if (const Value known = find(NodeKind::kInput, name); known.valid()) return known;
  Node node;
  node.kind = NodeKind::kInput;
  node.name = std::move(name);
  node.outputs = {std::move(type)};
  nodes_.push_back(std::move(node));
  return {static_cast<int32_t>(nodes_.size()) - 1, 0};
}

Value Graph::add_state(std::string name, DType dtype, Attributes shape) {
  if (const Value known = find(NodeKind::kState, name); known.valid()) return known;
  Node node;
  node.kind = NodeKind::kState;
  node.name = std::move(name);
  node.outputs = {{dtype, {}}};
  node.attributes = std::move(shape);
  nodes_.push_back(std::move(node));
  return {static_cast<int32_t>(nodes_.size()) - 1, 0};
}

Value Graph::add_op(std::string_view op, std::vector<Value> inputs, Attributes attributes) {
  Node node;
  node.op = &find_op(op);
  std::vector<TensorType> in;
  for (const Value input : inputs) {
    CHECK_GE(input.node, 0);
    CHECK_LT(input.node, static_cast<int32_t>(nodes_.size()));
    in.push_back(type(input));
  }
  const std::string error = node.op->infer(in, attributes, node.outputs);
  if (!error.empty()) check_failed(__FILE__, __LINE__, std::string(op) + ": " + error);
  node.inputs = std::move(inputs);
  node.attributes = std::move(attributes);
  nodes_.push_back(std::move(node));
  return {static_cast<int32_t>(nodes_.size()) - 1, 0};
}

Value Graph::add_copy(const Node& node, std::vector<Value> inputs) {
  Value value;
  switch (node.kind) {
    case NodeKind::kWeight:
      value = add_weight(node.name, node.outputs[0], node.weight);
      break;
    case NodeKind::kInput:
      value = add_input(node.name, node.outputs[0]);
      break;
    case NodeKind::kState:
      value = add_state(node.name, node.outputs[0].dtype, node.attributes);
      break;
    case NodeKind::kOp:
      value = add_op(node.op->name, std::move(inputs), node.attributes);
      break;
  }
  Node& copy = nodes_[static_cast<size_t>(value.node)];
  copy.segment = node.segment;
  copy.chain = node.chain;
  return value;
}

namespace {

Value find_named(const std::vector<NamedValue>& list, std::string_view name) {
  for (const NamedValue& item : list) {
    if (item.name == name) return item.value;
  }
  return {};
}

}  // namespace

Value Graph::behind_views(Value value) const {
  while (node(value).kind == NodeKind::kOp && node(value).op->view) value = node(value).inputs[0];
  return value;
}

Value Graph::find_output(std::string_view name) const { return find_named(outputs_, name); }
Value Graph::find_tap(std::string_view name) const { return find_named(taps_, name); }

Value Graph::find(NodeKind kind, std::string_view name) const {
  for (size_t i = 0; i < nodes_.size(); ++i) {
    if (nodes_[i].kind == kind && nodes_[i].name == name) return {static_cast<int32_t>(i), 0};
  }
  return {};
}

std::vector<std::vector<int32_t>> Graph::users() const {
  std::vector<std::vector<int32_t>> users(nodes_.size());
  for (size_t i = 0; i < nodes_.size(); ++i) {
    for (const Value input : nodes_[i].inputs) {
      auto& list = users[static_cast<size_t>(input.node)];
      if (list.empty() || list.back() != static_cast<int32_t>(i)) list.push_back(static_cast<int32_t>(i));
    }
  }
  return users;
}

Value Rewriter::map(Value old) const {
  const auto& outputs = outputs_of_[static_cast<size_t>(old.node)];
  CHECK_LT(static_cast<size_t>(old.output), outputs.size());
  return outputs[static_cast<size_t>(old.output)];
}

std::vector<Value> Rewriter::map(std::span<const Value> olds) const {
  std::vector<Value> news;
  for (const Value old : olds) news.push_back(map(old));
  return news;
}

void Rewriter::replace(Value old, Value now) {
  auto& outputs = outputs_of_[static_cast<size_t>(old.node)];
  outputs.resize(std::max(outputs.size(), static_cast<size_t>(old.output) + 1));
  outputs[static_cast<size_t>(old.output)] = now;
}

Value Rewriter::copy(int32_t index) {
  const Node& node = from_.nodes()[static_cast<size_t>(index)];
  const Value value = to_.add_copy(node, map(node.inputs));
  for (int32_t output = 0; output < static_cast<int32_t>(node.outputs.size()); ++output) {
    replace({index, output}, {value.node, output});
  }
  return value;
}

Graph Rewriter::run(const std::function<Value(Rewriter&, int32_t)>& visit) {
  for (int32_t i = 0; i < static_cast<int32_t>(from_.nodes().size()); ++i) {
    const size_t before = to_.nodes().size();
    const Value now = visit(*this, i);
    for (size_t added = before; added < to_.nodes().size(); ++added) {  // what replaces a node stays in its segment
      to_.nodes()[added].segment = from_.nodes()[static_cast<size_t>(i)].segment;
    }
    if (now.valid()) {
      replace({i, 0}, now);
    } else if (outputs_of_[static_cast<size_t>(i)].empty()) {
      copy(i);
    }
  }
  for (const NamedValue& output : from_.outputs()) to_.add_output(output.name, map(output.value));
  for (const NamedValue& tap : from_.taps()) to_.add_tap(tap.name, map(tap.value));
  return prune(to_);
}

Graph prune(const Graph& graph) {
  std::vector<char> needed(graph.nodes().size(), 0);
  for (const NamedValue& output : graph.outputs()) needed[static_cast<size_t>(output.value.node)] = 1;
  for (size_t i = graph.nodes().size(); i-- > 0;) {
    if (!needed[i]) continue;
    for (const Value input : graph.nodes()[i].inputs) needed[static_cast<size_t>(input.node)] = 1;
  }
  Graph pruned;
  std::vector<int32_t> place(graph.nodes().size(), -1);
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    if (!needed[i]) continue;
    std::vector<Value> inputs;
    for (const Value input : graph.nodes()[i].inputs)
      inputs.push_back({place[static_cast<size_t>(input.node)], input.output});
    place[i] = pruned.add_copy(graph.nodes()[i], std::move(inputs)).node;
  }
  for (const NamedValue& output : graph.outputs()) {
    pruned.add_output(output.name, {place[static_cast<size_t>(output.value.node)], output.value.output});
  }
  for (const NamedValue& tap : graph.taps()) {
    const int32_t node = place[static_cast<size_t>(tap.value.node)];
    if (node >= 0) pruned.add_tap(tap.name, {node, tap.value.output});
  }
  return pruned;
}

}  // namespace strata
