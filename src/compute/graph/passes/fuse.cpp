#include "compute/graph/passes/fuse.h"

#include <algorithm>
#include <vector>

#include "compute/graph/op.h"

namespace strata {
namespace {

// The rows of a node: chains never mix rows of different counts.
Dim row_dim(const Graph& graph, const Node& node) {
  const TensorType& type = node.op->keeps_state ? graph.type(node.inputs[1]) : node.outputs[0];
  return type.shape.empty() ? Dim(1) : type.shape[0];
}

bool may_chain(const Graph& graph, const Node& node) {
  return node.kind == NodeKind::kOp && node.op->row_wise && !row_dim(graph, node).is_constant();
}

}  // namespace

Graph fuse(const Graph& graph) {
  Graph fused = graph;
  auto& nodes = fused.nodes();
  std::vector<int> level(nodes.size(), 0);
  int n_chains = 0;
  std::vector<int> chain_size;
  int top = 0;
  int floor = 0;
  int segment = 0;
  for (size_t i = 0; i < nodes.size(); ++i) {
    Node& node = nodes[i];
    if (node.kind != NodeKind::kOp) continue;
    if (node.segment != segment) {
      segment = node.segment;
      floor = top;
    }
    int ready = floor;
    int32_t last = -1;  // an input that becomes ready last
    for (const Value input : node.inputs) {
      const int at = level[static_cast<size_t>(input.node)];
      if (at > ready || (at == ready && at > floor)) {
        ready = at;
        last = input.node;
      }
    }
    level[i] = node.op->view ? ready : ready + 1;
    node.chain = -1;
    if (!may_chain(fused, node)) {
      top = std::max(top, level[i]);
      continue;
    }
    // Every input of the last level must come from one chain, whose rows follow the same symbol.
    int chain = last >= 0 ? nodes[static_cast<size_t>(last)].chain : -1;
    for (const Value input : node.inputs) {
      const Node& producer = fused.node(input);
      if (level[static_cast<size_t>(input.node)] == ready && producer.kind == NodeKind::kOp && producer.chain != chain)
        chain = -1;
      if (producer.chain == chain && chain >= 0 && row_dim(fused, producer) != row_dim(fused, node)) chain = -1;
    }
    if (chain >= 0) {
      node.chain = chain;
      level[i] = ready;
    } else if (!node.op->view) {
      node.chain = n_chains++;
    }
    top = std::max(top, level[i]);
  }
  // A chain of one op is no chain.
  chain_size.assign(static_cast<size_t>(n_chains), 0);
  for (const Node& node : nodes) {
    if (node.kind == NodeKind::kOp && node.chain >= 0 && !node.op->view) ++chain_size[static_cast<size_t>(node.chain)];
  }
  for (Node& node : nodes) {
    if (node.chain >= 0 && chain_size[static_cast<size_t>(node.chain)] < 2) node.chain = -1;
  }
  return fused;
}

}  // namespace strata
