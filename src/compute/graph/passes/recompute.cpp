#include "compute/graph/passes/recompute.h"

#include <string>
#include <vector>

#include "base/check.h"
#include "compute/graph/op.h"

namespace strata {
namespace {

constexpr int kNoLayer = -1;  // what no layer has: the head and the loss, and all of the backward part

class Recomputation {
 public:
  Recomputation(const Graph& graph, std::span<const Recomputed> of_layer, std::string_view loss)
      : graph_(graph),
        of_layer_(of_layer),
        layer_of_(graph.nodes().size(), kNoLayer),
        is_dropped_(graph.nodes().size(), 0),
        first_(graph.nodes().size(), -1),
        again_(graph.nodes().size(), -1),
        segment_of_layer_(of_layer.size(), -1) {
    const Value end = graph.find_output(loss);
    CHECK(end.valid());
    n_forward_ = end.node + 1;
    find_layers();
    find_dropped();
  }

  Graph run() {
    const auto n_nodes = static_cast<int32_t>(graph_.nodes().size());
    for (int32_t i = 0; i < n_nodes; ++i) {
      std::vector<Value> inputs;
      for (const Value input : node(i).inputs) inputs.push_back(i < n_forward_ ? first(input) : latest(input));
      first_[at(i)] = add(i, std::move(inputs));
    }
    for (const NamedValue& output : graph_.outputs()) result_.add_output(output.name, first(output.value));
    for (const NamedValue& tap : graph_.taps()) result_.add_tap(tap.name, first(tap.value));
    return prune(result_);
  }

 private:
  static size_t at(int32_t index) { return static_cast<size_t>(index); }
  const Node& node(int32_t index) const { return graph_.nodes()[at(index)]; }

  void find_layers() {
    int32_t begin = 0;
    for (size_t layer = 0; layer < of_layer_.size(); ++layer) {
      const Value end = graph_.find_tap("layer." + std::to_string(layer));
      for (; begin <= end.node; ++begin) layer_of_[at(begin)] = static_cast<int>(layer);
    }
  }

  // Nodes that are not there any more when the backward part begins: ops of chosen layers, but for what other layers,
  // the head or the outputs read, be it through views.
  void find_dropped() {
    std::vector<char> is_read_elsewhere(graph_.nodes().size(), 0);
    for (const NamedValue& output : graph_.outputs()) is_read_elsewhere[at(output.value.node)] = 1;
    for (int32_t i = n_forward_; i-- > 0;) {
      for (const Value input : node(i).inputs) {
        const bool through_view = node(i).kind == NodeKind::kOp && node(i).op->view && is_read_elsewhere[at(i)] != 0;
        if (layer_of_[at(input.node)] != layer_of_[at(i)] || through_view) is_read_elsewhere[at(input.node)] = 1;
      }
    }
    for (int32_t i = 0; i < n_forward_; ++i) {
      if (node(i).kind != NodeKind::kOp || layer_of_[at(i)] == kNoLayer || is_read_elsewhere[at(i)] != 0) continue;
      const Recomputed what = of_layer_[at(layer_of_[at(i)])];
      if (node(i).op->view) {
        is_dropped_[at(i)] = is_dropped_[at(node(i).inputs[0].node)];
      } else {
        is_dropped_[at(i)] = what == Recomputed::kAll || (what == Recomputed::kRows && node(i).op->row_wise);
      }
    }
  }

  Value first(Value old) const { return {first_[at(old.node)], old.output}; }

  // The value as the backward part reads it: computed again where it was dropped.
  Value latest(Value old) {
    if (is_dropped_[at(old.node)] == 0) return first(old);
    if (again_[at(old.node)] < 0) {
      begin_segment(layer_of_[at(old.node)]);
      std::vector<Value> inputs;
      for (const Value input : node(old.node).inputs) inputs.push_back(latest(input));
      again_[at(old.node)] = add(old.node, std::move(inputs));
    }
    return {again_[at(old.node)], old.output};
  }

  void begin_segment(int layer) {
    if (segment_of_layer_[at(layer)] < 0) segment_of_layer_[at(layer)] = ++segment_;
  }

  int32_t add(int32_t index, std::vector<Value> inputs) {
    const int32_t added = result_.add_copy(node(index), std::move(inputs)).node;
    if (node(index).kind == NodeKind::kOp) result_.nodes()[at(added)].segment = segment_;
    return added;
  }

  const Graph& graph_;
  const std::span<const Recomputed> of_layer_;
  int32_t n_forward_ = 0;
  std::vector<int> layer_of_;
  std::vector<char> is_dropped_;
  Graph result_;
  std::vector<int32_t> first_, again_;  // old node -> new one; -1: none (yet)
  std::vector<int> segment_of_layer_;
  int segment_ = 0;
};

}  // namespace

int count_layers(const Graph& graph) {
  int n_layers = 0;
  while (graph.find_tap("layer." + std::to_string(n_layers)).valid()) ++n_layers;
  return n_layers;
}

Graph recompute(const Graph& differentiated, std::span<const Recomputed> of_layer, std::string_view loss) {
  CHECK_EQ(static_cast<int>(of_layer.size()), count_layers(differentiated));
  return Recomputation(differentiated, of_layer, loss).run();
}

}  // namespace strata
