#include "compute/graph/passes/shard.h"

#include "base/check.h"
#include "compute/graph/op.h"
#include "compute/graph/ops/ops.h"
#include "compute/graph/passes/divided_regions.h"
#include "compute/graph/passes/weight_slices.h"

namespace strata {
namespace {

class Sharder {
 public:
  Sharder(const Graph& graph, std::vector<RegionRole> roles, int rank, int n_ranks)
      : graph_(graph), roles_(std::move(roles)), rank_(rank), n_ranks_(n_ranks) {}

  // Every weight must divide before anything is rewritten.
  Status check() const {
    for (size_t i = 0; i < graph_.nodes().size(); ++i) {
      const Node& node = graph_.nodes()[i];
      if (roles_[i] == RegionRole::kEntry || roles_[i] == RegionRole::kExit) {
        const Node& weight = graph_.node(node.inputs[1]);
        const TensorType& type = weight.outputs[0];
        const bool column = roles_[i] == RegionRole::kEntry;
        const Dim dim = column ? type.shape[type.shape.size() - 2] : type.shape.back();
        RETURN_IF_ERROR(share(dim.factor, column ? 1 : traits(type.dtype).block_elements, weight.name).status());
      } else if (roles_[i] == RegionRole::kInside && node.op->name == "embed") {
        const Node& table = graph_.node(node.inputs[0]);
        const int64_t unit = traits(table.outputs[0].dtype).block_elements;
        RETURN_IF_ERROR(share(table.outputs[0].last().factor, unit, table.name).status());
      }
    }
    return ok_status();
  }

  Graph run() {
    return Rewriter(graph_).run([&](Rewriter& r, int32_t index) { return visit(r, index); });
  }

 private:
  // This rank's part of an axis that divides into whole units.
  Result<WeightSlice> share(int64_t size, int64_t unit, const std::string& name) const {
    if (size % (n_ranks_ * unit) != 0) {
      return invalid_argument("shard: " + name + ": " + std::to_string(size) + " does not divide into " +
                              std::to_string(n_ranks_) + " parts of whole blocks of " + std::to_string(unit));
    }
    return WeightSlice{size / n_ranks_ * rank_, size / n_ranks_ * (rank_ + 1),
                       "@" + std::to_string(rank_) + "/" + std::to_string(n_ranks_)};
  }

  // check() has seen that they divide.
  Value rows(Graph& g, const Node& weight, bool stack_of_heads = false) const {
    const TensorType& type = weight.outputs[0];
    const size_t axis = type.shape.size() == 3 && !stack_of_heads ? 1 : 0;
    return add_row_slice(g, weight, *share(type.shape[axis].factor, 1, weight.name), stack_of_heads);
  }
  Value columns(Graph& g, const Node& weight) const {
    const TensorType& type = weight.outputs[0];
    return add_column_slice(g, weight,
                            *share(type.shape.back().factor, traits(type.dtype).block_elements, weight.name));
  }

  Value visit(Rewriter& r, int32_t index) {
    const Node& node = graph_.nodes()[static_cast<size_t>(index)];
    switch (roles_[static_cast<size_t>(index)]) {
      case RegionRole::kOutside:
        return {};
      case RegionRole::kEntry:
        return with_weight(r, node, 1, rows(r.to(), graph_.node(node.inputs[1])));
      case RegionRole::kExit:
        return ops::all_sum(r.to(), with_weight(r, node, 1, columns(r.to(), graph_.node(node.inputs[1]))));
      case RegionRole::kInside:
        return divided(r, node);
    }
    return {};
  }

  static Value with_weight(Rewriter& r, const Node& node, size_t input, Value weight) {
    std::vector<Value> inputs = r.map(node.inputs);
    inputs[input] = weight;
    return r.to().add_copy(node, std::move(inputs));
  }

  Value divided(Rewriter& r, const Node& node) {
    Graph& g = r.to();
    const std::string_view op = node.op->name;
    if (op == "add_bias") return with_weight(r, node, 1, columns(g, graph_.node(node.inputs[1])));
    if (op == "embed") return with_weight(r, node, 0, columns(g, graph_.node(node.inputs[0])));
    if (op == "reshape") {
      Shape shape = node.outputs[0].shape;
      CHECK_EQ(shape[1].factor % n_ranks_, 0);
      shape[1].factor /= n_ranks_;
      return ops::reshape(g, r.map(node.inputs[0]), shape);
    }
    std::vector<Value> inputs = r.map(node.inputs);
    if (op == "latent_attention") {  // the up-projections are stacks of heads
      for (const size_t i : {size_t{4}, size_t{5}}) inputs[i] = rows(g, graph_.node(node.inputs[i]), true);
    }
    if (op == "attention") {
      if (inputs.size() > 3) inputs[3] = columns(g, graph_.node(node.inputs[3]));
      if (node.attributes.has("alibi")) return with_slopes(g, node, std::move(inputs));
    }
    if (op == "rms_norm" || op == "layer_norm") {  // weights of the dimension of a head are every head's
      for (size_t i = 1; i < inputs.size(); ++i) {
        const Node& weight = graph_.node(node.inputs[i]);
        if (weight.outputs[0].shape.size() == 2) inputs[i] = rows(g, weight, true);
      }
    }
    return g.add_copy(node, std::move(inputs));
  }

  // The slopes of this rank's heads.
  Value with_slopes(Graph& g, const Node& node, std::vector<Value> inputs) const {
    const std::vector<double> all = node.attributes.numbers("alibi");
    const auto range = *share(static_cast<int64_t>(all.size()), 1, "alibi");
    Node mine = node;
    mine.attributes.set("alibi", std::vector<double>(all.begin() + range.begin, all.begin() + range.end));
    return g.add_op(mine.op->name, std::move(inputs), std::move(mine.attributes));
  }

  const Graph& graph_;
  std::vector<RegionRole> roles_;
  int rank_, n_ranks_;
};

// Every head count must divide before anything is rewritten, so that shapes stay whole.
Status check_heads(const Graph& graph, int n_ranks) {
  for (const Node& node : graph.nodes()) {
    if (!is_attention(node)) continue;
    const size_t last = node.op->name == "attention" ? 2 : 1;
    for (size_t i = 0; i < last; ++i) {
      const int64_t heads = graph.type(node.inputs[i]).shape[1].factor;
      if (heads % n_ranks != 0) {
        return invalid_argument("shard: " + std::to_string(heads) + " heads do not divide over " +
                                std::to_string(n_ranks) + " ranks");
      }
    }
  }
  return ok_status();
}

}  // namespace

Result<Graph> shard_tensor(const Graph& graph, int rank, int n_ranks) {
  CHECK_LT(rank, n_ranks);
  if (n_ranks == 1) return graph;
  RETURN_IF_ERROR(check_heads(graph, n_ranks));
  const auto is_seed = [](const Node& node) { return is_attention(node) || is_feed_forward(node); };
  ASSIGN_OR_RETURN(std::vector<RegionRole> roles, divide_regions(graph, is_seed, "shard"));
  Sharder sharder(graph, std::move(roles), rank, n_ranks);
  RETURN_IF_ERROR(sharder.check());
  return sharder.run();
}

}  // namespace strata
