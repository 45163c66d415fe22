#include "compute/graph/passes/waves.h"

#include <algorithm>
#include <map>

#include "base/check.h"
#include "compute/graph/op.h"

namespace strata {

Schedule schedule_waves(const Graph& graph) {
  const auto& nodes = graph.nodes();
  // Level of a node: 0 for what is given, else one more than its inputs; a chain has one level for all its nodes.
  std::vector<int> level(nodes.size(), 0);
  std::map<int, int> chain_level;
  int top = 0;
  int segment = 0;
  int floor = 0;
  for (size_t i = 0; i < nodes.size(); ++i) {
    const Node& node = nodes[i];
    if (node.kind != NodeKind::kOp) continue;
    if (node.segment != segment) {
      segment = node.segment;
      floor = top;
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
      const auto [at, first] = chain_level.emplace(node.chain, level[i]);
      CHECK_LE(level[i], at->second);  // fuse joins a node only when its other inputs are ready before the chain
      level[i] = at->second;
    }
    top = std::max(top, level[i]);
  }

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
