#include "compute/graph/passes/adapters.h"

#include <algorithm>
#include <map>

#include "compute/graph/op.h"

namespace strata {
namespace {

// The first factors that one value is multiplied by: numbers [begin, end).
struct Shared {
  size_t begin = 0, end = 0;
  Value low;  // once it is made
};

DType factor_type(DType weight) {
  if (is_quantized(weight)) return DType::kI8;
  return weight == DType::kF16 || weight == DType::kBF16 ? DType::kBF16 : DType::kF32;
}

// Numbers the factors so that those of one value follow one another.
std::map<Value, Shared> number_factors(const Graph& graph, const std::vector<AdapterSite>& sites,
                                       AdapterPlaces& places) {
  std::map<Value, std::vector<const AdapterSite*>> of_value;
  for (const AdapterSite& site : sites)
    of_value[graph.nodes()[static_cast<size_t>(site.node)].inputs[0]].push_back(&site);
  std::map<Value, Shared> shared;
  for (const auto& [x, readers] : of_value) {
    Shared& factors = shared[x];
    factors.begin = places.first.size();
    for (const AdapterSite* site : readers) {
      const auto known = std::find_if(places.first.begin() + static_cast<std::ptrdiff_t>(factors.begin),
                                      places.first.end(), [&](const auto& f) { return f.tensor == site->tensor; });
      places.second.push_back({*site, static_cast<size_t>(known - places.first.begin())});
      if (known != places.first.end()) continue;
      const Node& node = graph.nodes()[static_cast<size_t>(site->node)];
      places.first.push_back({site->tensor, site->k, factor_type(graph.type(node.inputs[1]).dtype)});
    }
    factors.end = places.first.size();
  }
  return shared;
}

}  // namespace

GraphWithAdapters add_adapters(const Graph& graph, int64_t max_rank) {
  GraphWithAdapters result;
  AdapterPlaces& places = result.places;
  places.max_rank = max_rank;
  std::map<Value, Shared> shared = number_factors(graph, adapter_sites(graph), places);
  result.graph = Rewriter(graph).run([&](Rewriter& r, int32_t index) -> Value {
    const auto place = std::find_if(places.second.begin(), places.second.end(),
                                    [&](const AdapterPlaces::Second& second) { return second.site.node == index; });
    if (place == places.second.end()) return {};
    const Node& node = graph.nodes()[static_cast<size_t>(index)];
    Graph& g = r.to();
    Shared& factors = shared[node.inputs[0]];
    const Value slots = g.add_input("adapters", {DType::kI32, {Dim::tokens()}});
    if (!factors.low.valid()) {
      factors.low = g.add_op("lora_down", {r.map(node.inputs[0]), slots},
                             {{"first", static_cast<int64_t>(factors.begin)},
                              {"count", static_cast<int64_t>(factors.end - factors.begin)},
                              {"rank", max_rank}});
    }
    const Value y = g.add_copy(node, r.map(node.inputs));
    return g.add_op("lora_up", {y, factors.low, slots},
                    {{"second", place - places.second.begin()},
                     {"column", static_cast<int64_t>(place->first - factors.begin) * max_rank}});
  });
  return result;
}

}  // namespace strata
