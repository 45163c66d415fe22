#include "compute/graph/passes/train_adapters.h"

#include <algorithm>
#include <map>

#include "compute/graph/ops/ops.h"

namespace strata {
namespace {

Value first_factor(Graph& g, const AdapterSite& site, int64_t rank) {
  const std::string name = "lora_a." + site.tensor;
  return g.add_weight(name, {DType::kF32, {rank, site.k}}, {{{name, 0, rank, 0, site.k}}});
}

// `weight`: the name of the matmul's.
Value second_factor(Graph& g, const AdapterSite& site, int64_t rank, const std::string& weight) {
  WeightRef ref;
  for (const WeightPart& part : site.rows)
    ref.parts.push_back({"lora_b." + site.tensor, part.row_begin, part.row_end, 0, rank, part.row_step, 1});
  return g.add_weight("lora_b." + weight, {DType::kF32, {site.n, rank}}, std::move(ref));
}

}  // namespace

Graph train_adapters(const Graph& graph, const std::vector<TrainedAdapter>& adapters) {
  const std::vector<AdapterSite> sites = adapter_sites(graph);
  std::map<std::pair<Value, std::string>, Value> low;  // matmuls by rows of one tensor share the first product
  return Rewriter(graph).run([&](Rewriter& r, int32_t index) -> Value {
    const auto site = std::find_if(sites.begin(), sites.end(), [&](const AdapterSite& s) { return s.node == index; });
    if (site == sites.end()) return {};
    const auto adapter = std::find_if(adapters.begin(), adapters.end(),
                                      [&](const TrainedAdapter& a) { return a.tensor == site->tensor; });
    if (adapter == adapters.end()) return {};
    const Node& node = graph.nodes()[static_cast<size_t>(index)];
    Graph& g = r.to();
    const Value x = r.map(node.inputs[0]);
    const Value y = g.add_copy(node, r.map(node.inputs));
    Value& shared = low[{x, site->tensor}];
    if (!shared.valid())
      shared = ops::scale(g, ops::matmul(g, x, first_factor(g, *site, adapter->rank)), adapter->scale * site->scale);
    const Value b = second_factor(g, *site, adapter->rank, graph.node(node.inputs[1]).name);
    return ops::add(g, y, ops::matmul(g, shared, b));
  });
}

}  // namespace strata
