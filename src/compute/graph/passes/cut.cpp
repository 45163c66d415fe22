#include "compute/graph/passes/cut.h"

#include <algorithm>
#include <string>

#include "base/check.h"
#include "compute/graph/op.h"

namespace strata {

Graph cut(const Graph& graph, std::span<const Value> after) {
  Graph result = graph;
  // An op belongs behind a cut when it comes after the cut's value in the order of nodes; ops before it that only feed
  // later ones stay where they are, which is legal: values may cross segments forwards.
  for (size_t i = 0; i < result.nodes().size(); ++i) {
    Node& node = result.nodes()[i];
    if (node.kind != NodeKind::kOp) continue;
    node.segment = static_cast<int>(
        std::count_if(after.begin(), after.end(), [&](Value v) { return static_cast<size_t>(v.node) < i; }));
  }
  return result;
}

Graph cut_evenly(const Graph& graph, int n_segments) {
  CHECK_GE(n_segments, 1);
  std::vector<Value> borders;
  for (int layer = 0;; ++layer) {
    const Value border = graph.find_tap("layer." + std::to_string(layer));
    if (!border.valid()) break;
    borders.push_back(border);
  }
  std::vector<Value> chosen;
  const auto n_layers = static_cast<int>(borders.size());
  for (int s = 1; s < n_segments; ++s) {
    const int layer = std::clamp(n_layers * s / n_segments - 1, 0, n_layers - 1);
    if (chosen.empty() || chosen.back() != borders[static_cast<size_t>(layer)])
      chosen.push_back(borders[static_cast<size_t>(layer)]);
  }
  return cut(graph, chosen);
}

}  // namespace strata
