#include "compute/graph/passes/divided_regions.h"

#include "compute/graph/matmul_nodes.h"
#include "compute/graph/op.h"

namespace strata {
namespace {

// Ops that treat heads (values of three dimensions) or columns independently.
bool passes_division(const Graph& graph, int32_t index) {
  const Node& node = graph.nodes()[static_cast<size_t>(index)];
  const std::string_view op = node.op->name;
  if (op == "rms_norm" || op == "layer_norm" || op == "slice" || op == "concat" || op == "rope")
    return node.outputs[0].shape.size() == 3;
  return is_attention(node) || is_feed_forward(node) || op == "reshape" || op == "mul" || op == "scale" ||
         op == "clamp" || op == "add_bias" || op == "add" || op == "embed";  // embed: the biases of experts
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
  Division(const Graph& graph, std::string_view pass)
      : graph_(graph), pass_(pass), users_(graph.users()), role_(graph.nodes().size(), RegionRole::kOutside) {}

  Result<std::vector<RegionRole>> run(const std::function<bool(const Node&)>& is_seed) {
    for (int32_t i = 0; i < static_cast<int32_t>(graph_.nodes().size()); ++i) {
      if (is_seed(graph_.nodes()[static_cast<size_t>(i)])) RETURN_IF_ERROR(divide(i));
    }
    return role_;
  }

 private:
  // The node's output is divided: so are its producers, up to matmuls, and its users, down to matmuls.
  Status divide(int32_t index) {
    RegionRole& role = role_[static_cast<size_t>(index)];
    if (role != RegionRole::kOutside) return ok_status();
    const Node& node = graph_.nodes()[static_cast<size_t>(index)];
    if (is_matmul(node)) {
      role = RegionRole::kEntry;
    } else if (node.kind == NodeKind::kOp && passes_division(graph_, index)) {
      role = RegionRole::kInside;
      for (size_t i = 0; i < divided_inputs(node); ++i) RETURN_IF_ERROR(divide(node.inputs[i].node));
    } else {
      return fail("cannot divide through " + std::string(node.kind == NodeKind::kOp ? node.op->name : node.name));
    }
    for (const int32_t user : users_[static_cast<size_t>(index)]) RETURN_IF_ERROR(divide_user(index, user));
    return ok_status();
  }

  Status divide_user(int32_t index, int32_t user) {
    const Node& node = graph_.nodes()[static_cast<size_t>(user)];
    if (!is_matmul(node)) return divide(user);
    if (node.inputs[0].node != index) return fail("a matmul's weight would be divided");
    RegionRole& role = role_[static_cast<size_t>(user)];
    if (role == RegionRole::kEntry) return fail("a matmul lies in two divided regions");
    role = RegionRole::kExit;
    return ok_status();
  }

  Status fail(const std::string& why) const { return invalid_argument(std::string(pass_) + ": " + why); }

  const Graph& graph_;
  std::string_view pass_;
  std::vector<std::vector<int32_t>> users_;
  std::vector<RegionRole> role_;
};

}  // namespace

bool is_attention(const Node& node) {
  return node.kind == NodeKind::kOp && (node.op->name == "attention" || node.op->name == "latent_attention");
}

bool is_feed_forward(const Node& node) {
  if (node.kind != NodeKind::kOp || node.outputs[0].shape[0].symbol != Symbol::kTokens) return false;
  const std::string_view op = node.op->name;
  return op == "gated" || op == "clamped_gated" || op == "activate";
}

Result<std::vector<RegionRole>> divide_regions(const Graph& graph, const std::function<bool(const Node&)>& is_seed,
                                               std::string_view pass) {
  return Division(graph, pass).run(is_seed);
}

}  // namespace strata
