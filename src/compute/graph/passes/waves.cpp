#include "compute/graph/passes/waves.h"

#include <algorithm>
#include <map>

#include "compute/graph/op.h"

namespace strata {

namespace {

// Level of a node: 0 for what is given, else one more than its inputs; a chain has one level for all its nodes.
struct Levels {
  std::vector<int> of_node;
  std::map<int, int> of_chain;
  int top = 0;
};

// True when a chain had to wait for longer than `levels` said before: what reads it is to be placed anew.
bool place_nodes(const Graph& graph, Levels& levels) {
  const auto& nodes = graph.nodes();
  std::vector<int>& level = levels.of_node;
  level.assign(nodes.size(), 0);
  levels.top = 0;
  bool is_moved = false;
  int segment = 0;
  int floor = 0;
  for (size_t i = 0; i < nodes.size(); ++i) {
    const Node& node = nodes[i];
    if (node.kind != NodeKind::kOp) continue;
    if (node.segment != segment) {
      segment = node.segment;
      floor = levels.top;
    }
    int ready = floor;
    for (const Value input : node.inputs) {
      if (node.chain >= 0 && graph.node(input).chain == node.chain) continue;
      ready = std::max(ready, level[static_cast<size_t>(input.node)]);
    }
    if (node.op->view && node.chain < 0) {
      level[i] = ready;
      continue;
    }
    level[i] = ready + 1;
    if (node.chain >= 0) {
      const auto [at, is_first] = levels.of_chain.emplace(node.chain, level[i]);
      is_moved |= level[i] > at->second;
      level[i] = at->second = std::max(level[i], at->second);
    }
    levels.top = std::max(levels.top, level[i]);
  }
  return is_moved;
}

}  // namespace

Schedule schedule_waves(const Graph& graph) {
  const auto& nodes = graph.nodes();
  Levels levels;
  // fuse joins a node only when its other inputs are ready before the chain. A cut may delay both to where it is, and
  // then the chain waits for them.
  while (place_nodes(graph, levels)) {
  }
  const std::vector<int>& level = levels.of_node;
  const int top = levels.top;

  Schedule schedule;
  schedule.waves.resize(static_cast<size_t>(top));
  schedule.segment_of_wave.assign(static_cast<size_t>(top), 0);
  schedule.wave_of_node.assign(nodes.size(), -1);
  std::map<int, std::pair<size_t, size_t>> task_of_chain;
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (nodes[i].kind != NodeKind::kOp) continue;
    if (level[i] == 0) continue;
    schedule.wave_of_node[i] = level[i] - 1;
    if (nodes[i].op->view) continue;
    const auto wave = static_cast<size_t>(level[i] - 1);
    schedule.segment_of_wave[wave] = nodes[i].segment;
    if (nodes[i].chain >= 0) {
      if (const auto known = task_of_chain.find(nodes[i].chain); known != task_of_chain.end()) {
        schedule.waves[wave][known->second.second].nodes.push_back(static_cast<int32_t>(i));
        continue;
      }
      task_of_chain[nodes[i].chain] = {wave, schedule.waves[wave].size()};
    }
    schedule.waves[wave].push_back({{static_cast<int32_t>(i)}});
  }
  return schedule;
}

}  // namespace strata
