#include "compute/graph/passes/schedule_weights.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "compute/graph/op.h"

namespace strata {
namespace {

constexpr uint64_t kPage = 4096;

uint64_t to_pages(uint64_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }

// Neighbouring ops that no cut may divide: those between the first and the last of a chain.
struct Unit {
  size_t end = 0;               // index of the first node behind it
  std::vector<size_t> weights;  // into Weights::all
};

struct StreamableWeight {
  int32_t node;
  uint64_t bytes;
  bool streamed = false;
};

class WeightScheduler {
 public:
  WeightScheduler(const Graph& graph, const WeightBytes& bytes, uint64_t fixed, uint64_t window)
      : graph_(graph), window_(window), small_(fixed) {
    find_units(bytes);
  }

  Result<WeightSchedule> run(uint64_t memory) {
    WeightSchedule schedule{graph_, small_, 0, 0};
    uint64_t all = small_;
    for (const StreamableWeight& weight : weights_) all += weight.bytes;
    if (all <= memory) {
      schedule.resident_bytes = all;
      return schedule;
    }
    RETURN_IF_ERROR(choose(memory, schedule));
    for (const StreamableWeight& weight : weights_) {
      graph_node(schedule, weight.node).streamed = weight.streamed;
      (weight.streamed ? schedule.streamed_bytes : schedule.resident_bytes) += weight.bytes;
    }
    cut_windows(schedule.graph);
    return schedule;
  }

 private:
  static Node& graph_node(WeightSchedule& schedule, int32_t node) {
    return schedule.graph.nodes()[static_cast<size_t>(node)];
  }

  int32_t weight_of(Value value) const {
    value = graph_.behind_views(value);
    return graph_.node(value).kind == NodeKind::kWeight ? value.node : -1;
  }

  void find_units(const WeightBytes& bytes) {
    const auto& nodes = graph_.nodes();
    std::map<int, size_t> last_of_chain;
    for (size_t i = 0; i < nodes.size(); ++i) {
      if (nodes[i].chain >= 0) last_of_chain[nodes[i].chain] = i;
    }
    std::map<int32_t, size_t> known;
    size_t open = 0;  // no cut before this node
    Unit unit;
    for (size_t i = 0; i < nodes.size(); ++i) {
      if (nodes[i].chain >= 0) open = std::max(open, last_of_chain[nodes[i].chain]);
      for (size_t input = 0; nodes[i].kind == NodeKind::kOp && input < nodes[i].inputs.size(); ++input) {
        add_weight(unit, weight_of(nodes[i].inputs[input]), bytes(nodes[i], input), known);
      }
      if (i < open) continue;
      unit.end = i + 1;
      units_.push_back(std::exchange(unit, {}));
    }
  }

  void add_weight(Unit& unit, int32_t node, uint64_t bytes, std::map<int32_t, size_t>& known) {
    if (node < 0 || bytes == 0) return;
    const auto [at, is_new] = known.emplace(node, weights_.size());
    if (is_new && bytes < window_ / 16) {  // stays: reading it costs as much as reading a much larger one
      small_ += bytes;
      at->second = kStays;
    }
    if (at->second == kStays) return;
    if (is_new) weights_.push_back({node, to_pages(bytes), true});
    if (std::find(unit.weights.begin(), unit.weights.end(), at->second) == unit.weights.end()) {
      unit.weights.push_back(at->second);
    }
  }

  uint64_t streamed_bytes(const Unit& unit) const {
    uint64_t bytes = 0;
    for (const size_t weight : unit.weights) bytes += weights_[weight].streamed ? weights_[weight].bytes : 0;
    return bytes;
  }

  // Room for three windows; of large ones, for the one that is used and the one that comes.
  uint64_t buffer_bytes() const {
    uint64_t largest = 0;
    for (const Unit& unit : units_) largest = std::max(largest, streamed_bytes(unit));
    return std::max(3 * (window_ + largest) / 2, 2 * largest);
  }

  // The largest weights stay, as many as leave room for the buffer that the others need; then what else fits.
  Status choose(uint64_t memory, WeightSchedule& schedule) {
    std::vector<size_t> order(weights_.size());
    std::iota(order.begin(), order.end(), size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return weights_[a].bytes > weights_[b].bytes; });
    size_t best = order.size();
    uint64_t least = small_, resident = small_;
    for (const StreamableWeight& weight : weights_) least += weight.bytes;
    for (size_t n = 0; n < order.size(); ++n) {
      const uint64_t needed = resident + buffer_bytes();
      if (needed <= memory) best = n;
      least = std::min(least, needed);
      weights_[order[n]].streamed = false;
      resident += weights_[order[n]].bytes;
    }
    if (best == order.size()) {
      return invalid_argument("--weights-memory: this model needs at least " + std::to_string(least) + " bytes");
    }
    for (StreamableWeight& weight : weights_) weight.streamed = true;
    for (size_t n = 0; n < best; ++n) weights_[order[n]].streamed = false;
    schedule.buffer_bytes = buffer_bytes();
    resident = small_;
    for (size_t n = 0; n < order.size(); ++n) {
      if (n >= best && resident + weights_[order[n]].bytes + schedule.buffer_bytes > memory) continue;
      weights_[order[n]].streamed = false;
      resident += weights_[order[n]].bytes;
    }
    return ok_status();
  }

  void cut_windows(Graph& graph) const {
    int segment = 0;
    uint64_t in_window = 0;
    size_t i = 0;
    for (const Unit& unit : units_) {
      const uint64_t bytes = streamed_bytes(unit);
      if (bytes > 0 && in_window > 0 && in_window + bytes > window_) {
        ++segment;
        in_window = 0;
      }
      in_window += bytes;
      for (; i < unit.end; ++i) {
        if (graph.nodes()[i].kind == NodeKind::kOp) graph.nodes()[i].segment = segment;
      }
    }
  }

  static constexpr size_t kStays = static_cast<size_t>(-1);
  const Graph& graph_;
  uint64_t window_;
  uint64_t small_;  // always stays
  std::vector<Unit> units_;
  std::vector<StreamableWeight> weights_;
};

}  // namespace

uint64_t window_bytes_for(uint64_t memory) {
  return std::clamp<uint64_t>(memory / 16, uint64_t{64} << 10, uint64_t{16} << 20);
}

Result<WeightSchedule> schedule_weights(const Graph& graph, const WeightBytes& bytes, uint64_t fixed, uint64_t memory,
                                        uint64_t window_bytes) {
  return WeightScheduler(graph, bytes, fixed, window_bytes).run(memory);
}

}  // namespace strata
