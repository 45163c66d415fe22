#include "compute/graph/passes/in_bfloat16.h"

#include <map>
#include <set>

#include "compute/graph/op.h"

namespace strata {
namespace {

constexpr std::string_view kRounded = " (bfloat16)";
constexpr int64_t kLeastNumbers = 64;  // of a row that waits in bfloat16: what is less is sums, not activations

bool is_op(const Graph& graph, Value value) { return graph.node(value).kind == NodeKind::kOp; }

bool starts_with(const Node& node, std::string_view name) {
  return node.kind == NodeKind::kOp && node.op->name.substr(0, name.size()) == name;
}

// A head with its loss, or the gradient of one.
bool is_head(const Node& node) { return starts_with(node, "head_loss") || starts_with(node, "head_distill"); }

class Rounding {
 public:
  Rounding(const Graph& graph, const std::function<bool(const WeightRef&)>& is_rows, std::string_view loss)
      : graph_(graph), is_rows_(is_rows), end_(graph.find_output(loss).node) {
    for (int32_t i = end_ + 1; i < static_cast<int32_t>(graph.nodes().size()); ++i) {
      const Node& node = graph.nodes()[static_cast<size_t>(i)];
      if (node.kind != NodeKind::kOp || node.op->view || is_rounded(node)) continue;
      for (const Value input : node.inputs) {
        if (may_wait(input)) waits_.insert(input);
      }
    }
  }

  Graph run() {
    return Rewriter(graph_).run([this](Rewriter& r, int32_t index) { return visit(r, index); });
  }

 private:
  bool is_forward(Value value) const { return value.node <= end_; }

  // Products that are computed in bfloat16: of a matmul, and in a head with its loss.
  bool is_rounded(const Node& node) const {
    if (node.kind != NodeKind::kOp) return false;
    if (node.op->name == "matmul_dw") return true;
    if (node.op->name != "matmul" && node.op->name != "matmul_dx" && !is_head(node)) return false;
    const Node& weight = graph_.node(node.inputs[1]);
    return weight.kind == NodeKind::kWeight && weight.outputs[0].dtype == DType::kF32 && is_rows_(weight.weight);
  }

  // An activation, or a view of one, that the backward part reads.
  bool may_wait(Value value) const {
    const Value base = graph_.behind_views(value);
    if (!is_forward(value) || !is_op(graph_, base) || base.output != 0) return false;
    const Node& node = graph_.node(base);
    const TensorType& type = graph_.type(value);
    if (type.dtype != DType::kF32 || starts_with(node, "head_") || starts_with(node, "cross_entropy")) return false;
    int64_t numbers = 1;
    for (size_t i = 1; i < type.shape.size(); ++i) numbers *= type.shape[i].factor;
    return !type.shape.empty() && !type.shape[0].is_constant() && numbers >= kLeastNumbers;
  }

  Value visit(Rewriter& r, int32_t index) {
    const Node& node = graph_.nodes()[static_cast<size_t>(index)];
    const Value value{index, 0};
    if (!is_forward(value) && !is_rounded(node))
      return node.kind == NodeKind::kOp && !node.op->view ? widened_inputs(r, index) : Value{};
    const Value now = is_rounded(node) ? product(r, node) : r.copy(index);
    if (is_rounded(node)) {
      for (int32_t output = 1; output < static_cast<int32_t>(node.outputs.size()); ++output)
        r.replace({index, output}, {now.node, output});
    }
    if (waits_.count(value) != 0) rounded(r, value, now);
    return now;
  }

  Value rounded(Rewriter& r, Value old, Value now) {
    Value& known = rounded_[old];
    if (known.valid()) return known;
    const Node& node = graph_.node(old);
    if (node.kind == NodeKind::kOp && node.op->view) {  // one copy for a value and its views
      const Value base = rounded(r, node.inputs[0], r.map(node.inputs[0]));
      return known = r.to().add_copy(node, {base});
    }
    return known = r.to().add_op("to_activation", {now}, {{"form", std::string(name(DType::kActBF16))}});
  }

  Value product(Rewriter& r, const Node& node) {
    std::vector<Value> inputs{rounded(r, node.inputs[0], r.map(node.inputs[0]))};
    for (size_t i = 1; i < node.inputs.size(); ++i) {
      const Value input = node.inputs[i];
      if (node.op->name == "matmul_dw") {
        inputs.push_back(rounded(r, input, r.map(input)));
      } else {
        inputs.push_back(input == node.inputs[1] ? rounded_weight(r, input) : r.map(input));
      }
    }
    return r.to().add_copy(node, std::move(inputs));
  }

  Value rounded_weight(Rewriter& r, Value weight) {
    Value& known = weights_[weight];
    if (known.valid()) return known;
    const Node& node = graph_.node(weight);
    WeightRef ref = node.weight;
    for (WeightPart& part : ref.parts) part.tensor = rounded_name(part.tensor);
    TensorType type = node.outputs[0];
    type.dtype = DType::kBF16;
    return known = r.to().add_weight(rounded_name(node.name), type, std::move(ref));
  }

  // Widened again when the first of the node's own inputs is there, not before: waves begin as early as they can. What
  // is computed again (pass recompute) reads forward values alone, and has a segment of its own.
  Value widened_inputs(Rewriter& r, int32_t index) {
    const Node& node = graph_.nodes()[static_cast<size_t>(index)];
    Value after;
    for (const Value input : node.inputs) {
      if (!after.valid() && !is_forward(input)) after = r.map(input);
    }
    std::vector<Value> inputs;
    bool any = false;
    for (const Value input : node.inputs) {
      const bool waits = waits_.count(input) != 0 && (after.valid() || node.segment > 0);
      inputs.push_back(waits ? widened(r, input, after) : r.map(input));
      any |= waits;
    }
    if (!any) return {};
    const Value now = r.to().add_copy(node, std::move(inputs));
    for (int32_t output = 1; output < static_cast<int32_t>(node.outputs.size()); ++output)
      r.replace({index, output}, {now.node, output});
    return now;
  }

  Value widened(Rewriter& r, Value old, Value after) {
    Value& known = widened_[old];
    if (known.valid()) return known;
    std::vector<Value> inputs{rounded_.at(old)};
    if (after.valid()) inputs.push_back(after);
    return known = r.to().add_op("from_activation", std::move(inputs));
  }

  const Graph& graph_;
  const std::function<bool(const WeightRef&)>& is_rows_;
  const int32_t end_;  // the last node of the forward part
  std::set<Value> waits_;
  std::map<Value, Value> rounded_, widened_, weights_;
};

}  // namespace

std::string rounded_name(std::string_view tensor) { return std::string(tensor) + std::string(kRounded); }

std::string_view tensor_of_rounded(std::string_view name) {
  return name.ends_with(kRounded) ? name.substr(0, name.size() - kRounded.size()) : std::string_view{};
}

Graph in_bfloat16(const Graph& graph, const std::function<bool(const WeightRef&)>& is_rows, std::string_view loss) {
  return Rounding(graph, is_rows, loss).run();
}

}  // namespace strata
