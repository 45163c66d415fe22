#include "compute/graph/passes/select_width.h"

#include <algorithm>

#include "compute/graph/op.h"
#include "compute/graph/passes/divided_regions.h"
#include "compute/graph/passes/weight_slices.h"

namespace strata {
namespace {

// The input of a node inside or at the border of a region that is a weight to slice; 0: none.
size_t sliced_input(RegionRole role, const Node& node) {
  if (role == RegionRole::kEntry || role == RegionRole::kExit) return 1;
  return role == RegionRole::kInside && node.op->name == "add_bias" ? 1 : 0;
}

class Narrower {
 public:
  Narrower(const Graph& graph, std::vector<RegionRole> roles, int64_t full, int64_t width)
      : graph_(graph), roles_(std::move(roles)), full_(full), slice_{0, width, "@" + std::to_string(width)} {}

  // Before anything is rewritten.
  Status check() const {
    for (size_t i = 0; i < roles_.size(); ++i) {
      const Node& node = graph_.nodes()[i];
      if (const size_t input = sliced_input(roles_[i], node); input > 0)
        RETURN_IF_ERROR(check_weight(graph_.node(node.inputs[input]), roles_[i] == RegionRole::kEntry));
      if (is_table(i)) RETURN_IF_ERROR(check_weight(graph_.node(node.inputs[0]), false));
    }
    return ok_status();
  }

  // Taps are kept, also those that no output needs: exits.
  Graph run() const {
    Graph tapped = graph_;
    for (const NamedValue& tap : graph_.taps()) tapped.add_output(tap.name, tap.value);
    Graph narrow = Rewriter(tapped).run([this](Rewriter& r, int32_t i) { return visit(r, static_cast<size_t>(i)); });
    narrow.outputs().resize(graph_.outputs().size());
    return narrow;
  }

 private:
  // The biases of experts, a row each.
  bool is_table(size_t i) const { return roles_[i] == RegionRole::kInside && graph_.nodes()[i].op->name == "embed"; }

  Status check_weight(const Node& weight, bool by_rows) const {
    if (weight.kind != NodeKind::kWeight)
      return invalid_argument("select_width: a product inside a feed-forward is not by a weight");
    const TensorType& type = weight.outputs[0];
    const int64_t size = by_rows ? type.shape[type.shape.size() - 2].factor : type.last().factor;
    const int64_t unit = by_rows ? 1 : traits(type.dtype).block_elements;
    if (size != full_) {
      return invalid_argument("select_width: " + weight.name + " is " + std::to_string(size) + " wide, not " +
                              std::to_string(full_));
    }
    if (slice_.end % unit == 0) return ok_status();
    return invalid_argument("select_width: " + weight.name + " is stored in blocks of " + std::to_string(unit) +
                            " numbers, which a width of " + std::to_string(slice_.end) +
                            " would cut (give a multiple of " + std::to_string(unit) + ")");
  }

  Value visit(Rewriter& r, size_t i) const {
    if (roles_[i] == RegionRole::kOutside) return {};
    const Node& node = graph_.nodes()[i];
    std::vector<Value> inputs = r.map(node.inputs);
    if (const size_t input = sliced_input(roles_[i], node); input > 0) {
      const Node& weight = graph_.node(node.inputs[input]);
      inputs[input] = roles_[i] == RegionRole::kEntry ? add_row_slice(r.to(), weight, slice_)
                                                      : add_column_slice(r.to(), weight, slice_);
    }
    if (is_table(i)) inputs[0] = add_column_slice(r.to(), graph_.node(node.inputs[0]), slice_);
    return r.to().add_op(node.op->name, std::move(inputs), node.attributes);
  }

  const Graph& graph_;
  std::vector<RegionRole> roles_;
  int64_t full_;
  WeightSlice slice_;
};

}  // namespace

Result<Graph> select_width(const Graph& graph, int64_t full, int64_t width) {
  if (width < 1 || width > full) {
    return invalid_argument("select_width: a width of " + std::to_string(width) + ", expected 1 to " +
                            std::to_string(full));
  }
  const auto is_seed = [full](const Node& node) {
    return is_feed_forward(node) && node.outputs[0].last().factor == full;
  };
  if (std::none_of(graph.nodes().begin(), graph.nodes().end(), is_seed))
    return invalid_argument("select_width: no feed-forward is " + std::to_string(full) + " wide");
  if (width == full) return graph;
  ASSIGN_OR_RETURN(std::vector<RegionRole> roles, divide_regions(graph, is_seed, "select_width"));
  const Narrower narrower(graph, std::move(roles), full, width);
  RETURN_IF_ERROR(narrower.check());
  return narrower.run();
}

}  // namespace strata
