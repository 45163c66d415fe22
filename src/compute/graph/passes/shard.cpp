#include "compute/graph/passes/shard.h"

#include <algorithm>

#include "base/check.h"
#include "compute/graph/op.h"
#include "compute/graph/ops/ops.h"

namespace strata {
namespace {

enum class Role : uint8_t {
  kWhole,    // the same on every rank
  kDivided,  // each rank has its heads or columns
  kColumn,   // a matmul whose weight rows are divided: whole in, divided out
  kRow,      // a matmul whose weight columns are divided: divided in, partial sums out
};

bool is_matmul(const Node& node) {
  return node.kind == NodeKind::kOp && (node.op->name == "matmul" || node.op->name == "expert_matmul");
}

bool is_attention(const Node& node) {
  return node.kind == NodeKind::kOp && (node.op->name == "attention" || node.op->name == "latent_attention");
}

// Where division begins: heads, and the inside of feed-forwards. A soft cap on the logits of the output rows is an
// activation too, but no feed-forward.
bool is_seed(const Node& node) {
  if (node.kind != NodeKind::kOp || node.outputs[0].shape[0].symbol != Symbol::kTokens) return false;
  const std::string_view op = node.op->name;
  return is_attention(node) || op == "gated" || op == "clamped_gated" || op == "activate";
}

// Ops that treat heads (values of three dimensions) or columns independently.
bool passes_division(const Graph& graph, int32_t index) {
  const Node& node = graph.nodes()[static_cast<size_t>(index)];
  const std::string_view op = node.op->name;
  if (op == "rms_norm" || op == "layer_norm" || op == "slice" || op == "concat" || op == "rope")
    return node.outputs[0].shape.size() == 3;
  return is_seed(node) || op == "reshape" || op == "mul" || op == "scale" || op == "clamp" || op == "add_bias" ||
         op == "add" || op == "embed";  // embed: the biases of experts
}

// How many of a node's inputs are divided along with its output; the others are whole (positions, norm weights,
// latents).
size_t divided_inputs(const Node& node) {
  const std::string_view op = node.op->name;
  if (op == "attention") return 3;
  if (op == "latent_attention" || op == "gated" || op == "clamped_gated" || op == "mul" || op == "add" ||
      op == "concat") {
    return 2;
  }
  return op == "embed" ? 0 : 1;
}

class Division {
 public:
  explicit Division(const Graph& graph)
      : graph_(graph), users_(graph.users()), role_(graph.nodes().size(), Role::kWhole) {}

  Result<std::vector<Role>> run() {
    for (int32_t i = 0; i < static_cast<int32_t>(graph_.nodes().size()); ++i) {
      if (is_seed(graph_.nodes()[static_cast<size_t>(i)])) RETURN_IF_ERROR(divide(i));
    }
    return role_;
  }

 private:
  // The node's output is divided: so are its producers, up to matmuls, and its users, down to matmuls.
  Status divide(int32_t index) {
    Role& role = role_[static_cast<size_t>(index)];
    if (role != Role::kWhole) return ok_status();
    const Node& node = graph_.nodes()[static_cast<size_t>(index)];
    if (is_matmul(node)) {
      role = Role::kColumn;
    } else if (node.kind == NodeKind::kOp && passes_division(graph_, index)) {
      role = Role::kDivided;
      for (size_t i = 0; i < divided_inputs(node); ++i) RETURN_IF_ERROR(divide(node.inputs[i].node));
    } else {
      return invalid_argument("shard: cannot divide through " +
                              std::string(node.kind == NodeKind::kOp ? node.op->name : node.name));
    }
    for (const int32_t user : users_[static_cast<size_t>(index)]) RETURN_IF_ERROR(divide_user(index, user));
    return ok_status();
  }

  Status divide_user(int32_t index, int32_t user) {
    const Node& node = graph_.nodes()[static_cast<size_t>(user)];
    if (!is_matmul(node)) return divide(user);
    if (node.inputs[0].node != index) return invalid_argument("shard: a matmul's weight would be divided");
    Role& role = role_[static_cast<size_t>(user)];
    if (role == Role::kColumn) return invalid_argument("shard: a matmul lies in two divided regions");
    role = Role::kRow;
    return ok_status();
  }

  const Graph& graph_;
  std::vector<std::vector<int32_t>> users_;
  std::vector<Role> role_;
};

// Rewrites weights into this rank's slices. share() says whether a dimension divides; the others take that for granted.
class Slicer {
 public:
  Slicer(int rank, int n_ranks) : rank_(rank), n_ranks_(n_ranks) {}

  Result<std::pair<int64_t, int64_t>> share(int64_t size, int64_t unit, const std::string& name) const {
    if (size % (n_ranks_ * unit) != 0) {
      return invalid_argument("shard: " + name + ": " + std::to_string(size) + " does not divide into " +
                              std::to_string(n_ranks_) + " parts of whole blocks of " + std::to_string(unit));
    }
    return std::pair{size / n_ranks_ * rank_, size / n_ranks_ * (rank_ + 1)};
  }

  // Rows of every [n, k] matrix of the weight, or of a [n_heads, ...] stack of whole heads.
  Value rows(Graph& g, const Node& weight, bool stack_of_heads) const {
    TensorType type = weight.outputs[0];
    const size_t axis = type.shape.size() == 3 && !stack_of_heads ? 1 : 0;
    const auto range = *share(type.shape[axis].factor, 1, weight.name);
    const int64_t n = axis == 1 ? type.shape[1].factor : logical_rows(weight.weight);
    const int64_t per = n / type.shape[axis].factor;  // rows of the reference per step along the axis
    WeightRef ref = weight.weight;
    ref.parts.clear();
    for (int64_t base = 0; base < logical_rows(weight.weight); base += n) {
      append(weight.weight, weight.weight.transpose, base + range.first * per, base + range.second * per, ref);
    }
    type.shape[axis] = range.second - range.first;
    return g.add_weight(sliced_name(weight), type, std::move(ref));
  }

  Value columns(Graph& g, const Node& weight) const {
    TensorType type = weight.outputs[0];
    const int64_t unit = traits(type.dtype).block_elements;
    const auto range = *share(type.shape.back().factor, unit, weight.name);
    WeightRef ref = weight.weight;
    ref.parts.clear();
    if (type.shape.size() == 1) {  // the numbers of a vector follow each other over its parts
      append(weight.weight, true, range.first, range.second, ref);
    } else {
      for (const WeightPart& part : weight.weight.parts) {
        ref.parts.push_back(ref.transpose ? rows_of(part, range.first, range.second)
                                          : columns_of(part, range.first, range.second));
      }
    }
    type.shape.back() = range.second - range.first;
    return g.add_weight(sliced_name(weight), type, std::move(ref));
  }

 private:
  static int64_t logical_rows(const WeightRef& ref) {
    int64_t rows = 0;
    for (const WeightPart& part : ref.parts) rows += ref.transpose ? part.n_cols() : part.n_rows();
    return rows;
  }
  // [begin, end) of a part's rows, of its columns.
  static WeightPart rows_of(WeightPart part, int64_t begin, int64_t end) {
    part.row_end = std::min(part.row_end, part.row_begin + end * part.row_step);
    part.row_begin += begin * part.row_step;
    return part;
  }
  static WeightPart columns_of(WeightPart part, int64_t begin, int64_t end) {
    part.col_end = std::min(part.col_end, part.col_begin + end * part.col_step);
    part.col_begin += begin * part.col_step;
    return part;
  }
  // [begin, end) of all rows (columns) of the parts, which follow each other.
  static void append(const WeightRef& from, bool columns, int64_t begin, int64_t end, WeightRef& to) {
    int64_t at = 0;
    for (const WeightPart& part : from.parts) {
      const int64_t n = columns ? part.n_cols() : part.n_rows();
      const int64_t lo = std::max(begin - at, int64_t{0});
      const int64_t hi = std::min(end - at, n);
      if (lo < hi) to.parts.push_back(columns ? columns_of(part, lo, hi) : rows_of(part, lo, hi));
      at += n;
    }
  }
  std::string sliced_name(const Node& weight) const {
    return weight.name + "@" + std::to_string(rank_) + "/" + std::to_string(n_ranks_);
  }
  int rank_;
  int n_ranks_;
};

class Sharder {
 public:
  Sharder(const Graph& graph, std::vector<Role> roles, int rank, int n_ranks)
      : graph_(graph), roles_(std::move(roles)), slicer_(rank, n_ranks), n_ranks_(n_ranks) {}

  // Every weight must divide before anything is rewritten.
  Status check() const {
    for (size_t i = 0; i < graph_.nodes().size(); ++i) {
      const Node& node = graph_.nodes()[i];
      if (roles_[i] == Role::kColumn || roles_[i] == Role::kRow) {
        const Node& weight = graph_.node(node.inputs[1]);
        const TensorType& type = weight.outputs[0];
        const bool column = roles_[i] == Role::kColumn;
        const Dim dim = column ? type.shape[type.shape.size() - 2] : type.shape.back();
        RETURN_IF_ERROR(
            slicer_.share(dim.factor, column ? 1 : traits(type.dtype).block_elements, weight.name).status());
      } else if (roles_[i] == Role::kDivided && node.op->name == "embed") {
        const Node& table = graph_.node(node.inputs[0]);
        const int64_t unit = traits(table.outputs[0].dtype).block_elements;
        RETURN_IF_ERROR(slicer_.share(table.outputs[0].last().factor, unit, table.name).status());
      }
    }
    return ok_status();
  }

  Graph run() {
    return Rewriter(graph_).run([&](Rewriter& r, int32_t index) { return visit(r, index); });
  }

 private:
  Value visit(Rewriter& r, int32_t index) {
    const Node& node = graph_.nodes()[static_cast<size_t>(index)];
    switch (roles_[static_cast<size_t>(index)]) {
      case Role::kWhole:
        return {};
      case Role::kColumn:
        return with_weight(r, node, 1, slicer_.rows(r.to(), graph_.node(node.inputs[1]), false));
      case Role::kRow:
        return ops::all_sum(r.to(), with_weight(r, node, 1, slicer_.columns(r.to(), graph_.node(node.inputs[1]))));
      case Role::kDivided:
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
    if (op == "add_bias") return with_weight(r, node, 1, slicer_.columns(g, graph_.node(node.inputs[1])));
    if (op == "embed") return with_weight(r, node, 0, slicer_.columns(g, graph_.node(node.inputs[0])));
    if (op == "reshape") {
      Shape shape = node.outputs[0].shape;
      CHECK_EQ(shape[1].factor % n_ranks_, 0);
      shape[1].factor /= n_ranks_;
      return ops::reshape(g, r.map(node.inputs[0]), shape);
    }
    std::vector<Value> inputs = r.map(node.inputs);
    if (op == "latent_attention") {  // the up-projections are stacks of heads
      for (const size_t i : {size_t{4}, size_t{5}}) inputs[i] = slicer_.rows(g, graph_.node(node.inputs[i]), true);
    }
    if (op == "attention") {
      if (inputs.size() > 3) inputs[3] = slicer_.columns(g, graph_.node(node.inputs[3]));
      if (node.attributes.has("alibi")) return with_slopes(g, node, std::move(inputs));
    }
    if (op == "rms_norm" || op == "layer_norm") {  // weights of the dimension of a head are every head's
      for (size_t i = 1; i < inputs.size(); ++i) {
        const Node& weight = graph_.node(node.inputs[i]);
        if (weight.outputs[0].shape.size() == 2) inputs[i] = slicer_.rows(g, weight, true);
      }
    }
    return g.add_copy(node, std::move(inputs));
  }

  // The slopes of this rank's heads.
  Value with_slopes(Graph& g, const Node& node, std::vector<Value> inputs) const {
    const std::vector<double> all = node.attributes.numbers("alibi");
    const auto range = *slicer_.share(static_cast<int64_t>(all.size()), 1, "alibi");
    Node mine = node;
    mine.attributes.set("alibi", std::vector<double>(all.begin() + range.first, all.begin() + range.second));
    return g.add_op(mine.op->name, std::move(inputs), std::move(mine.attributes));
  }

  const Graph& graph_;
  std::vector<Role> roles_;
  Slicer slicer_;
  int n_ranks_;
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
  ASSIGN_OR_RETURN(std::vector<Role> roles, Division(graph).run());
  Sharder sharder(graph, std::move(roles), rank, n_ranks);
  RETURN_IF_ERROR(sharder.check());
  return sharder.run();
}

}  // namespace strata
