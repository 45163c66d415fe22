#include "compute/graph/passes/differentiate.h"

#include <map>

#include "compute/graph/op.h"
#include "compute/graph/ops/ops.h"
#include "compute/graph/passes/lower_attention.h"

namespace strata {
namespace {

class Backward {
 public:
  Backward(const Graph& forward, const std::function<bool(const Node&)>& is_trained)
      : graph_(forward), n_forward_(forward.nodes().size()), is_trained_(is_trained) {}

  Result<Graph> run(Value loss) {
    std::erase_if(graph_.outputs(), [&](const NamedValue& output) { return output.value == loss; });
    graph_.add_output("loss", loss);
    mark_active();
    gradient_[loss] = loss;  // its rule does not read the incoming gradient: that of a loss by itself is one
    for (size_t i = n_forward_; i-- > 0;) {
      if (graph_.nodes()[i].kind == NodeKind::kOp && active_[i]) RETURN_IF_ERROR(step_back(static_cast<int32_t>(i)));
    }
    for (size_t i = 0; i < n_forward_; ++i) {
      if (graph_.nodes()[i].kind != NodeKind::kWeight) continue;
      const auto at = gradient_.find({static_cast<int32_t>(i), 0});
      if (at != gradient_.end()) graph_.add_output("grad." + graph_.nodes()[i].name, at->second);
    }
    return prune(graph_);
  }

 private:
  // Nodes that depend on a trained weight: gradients flow through these only.
  void mark_active() {
    active_.assign(n_forward_, 0);
    for (size_t i = 0; i < n_forward_; ++i) {
      const Node& node = graph_.nodes()[i];
      active_[i] = node.kind == NodeKind::kWeight && (!is_trained_ || is_trained_(node));
      for (const Value input : node.inputs) active_[i] |= active_[static_cast<size_t>(input.node)];
    }
  }

  Status step_back(int32_t index) {
    std::vector<Value> d_outputs;
    bool any = false;
    const size_t n_outputs = graph_.nodes()[static_cast<size_t>(index)].outputs.size();
    for (int32_t output = 0; output < static_cast<int32_t>(n_outputs); ++output) {
      const auto at = gradient_.find({index, output});
      d_outputs.push_back(at == gradient_.end() ? Value{} : at->second);
      any |= d_outputs.back().valid();
    }
    if (!any) return ok_status();
    const Node node = graph_.nodes()[static_cast<size_t>(index)];
    if (node.op->gradient == nullptr)
      return invalid_argument("differentiate: op " + std::string(node.op->name) + " has no gradient");
    GradientContext context{graph_, {index, 0}, node.inputs, d_outputs, {}};
    node.op->gradient(context);
    for (size_t i = 0; i < context.d_inputs.size(); ++i) accumulate(node.inputs[i], context.d_inputs[i]);
    return ok_status();
  }

  void accumulate(Value input, Value d_input) {
    if (!d_input.valid() || !active_[static_cast<size_t>(input.node)]) return;
    const auto [at, first] = gradient_.emplace(input, d_input);
    if (!first) at->second = ops::add(graph_, at->second, d_input);
  }

  Graph graph_;
  const size_t n_forward_;
  const std::function<bool(const Node&)>& is_trained_;
  std::vector<char> active_;
  std::map<Value, Value> gradient_;
};

}  // namespace

Result<Graph> differentiate(const Graph& graph, std::string_view loss,
                            const std::function<bool(const Node& weight)>& is_trained) {
  if (!graph.find_output(loss).valid())
    return invalid_argument("differentiate: the graph has no output " + std::string(loss));
  const Graph forward = expand_latent_attention(graph);
  return Backward(forward, is_trained).run(forward.find_output(loss));
}

}  // namespace strata
