#include "compute/graph/passes/add_loss.h"

#include <algorithm>

#include "base/check.h"
#include "compute/graph/ops/ops.h"
#include "compute/graph/passes/find_head.h"

namespace strata {
namespace {

Value take_logits(Graph& graph) {
  const Value logits = graph.find_output("logits");
  CHECK(logits.valid());
  std::erase_if(graph.outputs(), [](const NamedValue& output) { return output.name == "logits"; });
  return logits;
}

bool is_f32(const Graph& graph, Value value) { return graph.type(value).dtype == DType::kF32; }

Status no_head(const char* whose) {
  return invalid_argument(std::string("distillation: the ") + whose +
                          "'s logits do not come from a matmul by a head (give another model)");
}

Status no_layer(const char* whose, int64_t layer) {
  return invalid_argument(std::string("distill.layers: the ") + whose + " has no layer " + std::to_string(layer) +
                          " (they count from 0)");
}

Value add_exit_losses(Graph& graph, const ops::Head& head, Value targets, Value loss, std::span<const double> weights) {
  const std::vector<NamedValue> taps = exits_of(graph);
  CHECK_EQ(taps.size(), weights.size());
  for (size_t i = 0; i < taps.size(); ++i) {
    ops::Head exit = head;
    exit.x = taps[i].value;
    const Value part = ops::head_cross_entropy(graph, exit, targets, weights[i] > 0 ? weights[i] : 1);
    graph.add_output("loss." + taps[i].name, part);
    if (weights[i] > 0) loss = ops::add(graph, loss, part);
  }
  return loss;
}

}  // namespace

std::vector<NamedValue> exits_of(const Graph& graph) {
  std::vector<NamedValue> exits;
  for (const NamedValue& tap : graph.taps()) {
    if (tap.name.starts_with("exit.")) exits.push_back(tap);
  }
  return exits;
}

Graph add_loss(const Graph& graph, std::span<const double> exit_weights) {
  Graph result = graph;
  const Value logits = take_logits(result);
  const Value targets = result.add_input("targets", {DType::kI32, {Dim::outputs()}});
  const std::optional<ops::Head> head = find_head(result, logits);
  if (!head) {
    result.add_output("loss", ops::cross_entropy(result, logits, targets));
    return prune(result);
  }
  const Value loss = ops::head_cross_entropy(result, *head, targets);
  result.add_output("loss", exit_weights.empty() ? loss : add_exit_losses(result, *head, targets, loss, exit_weights));
  return prune(result);
}

Result<Graph> add_distillation_loss(const Graph& graph, const ops::Distillation& form, int64_t k,
                                    std::span<const double> exit_weights) {
  Graph result = graph;
  const Value logits = take_logits(result);
  const std::optional<ops::Head> head = find_head(result, logits);
  if (!head || !is_f32(result, head->w)) return no_head("student");
  const Value targets = result.add_input("targets", {DType::kI32, {Dim::outputs()}});
  const ops::Taught taught{result.add_input("teacher_ids", {DType::kI32, {Dim::outputs(), Dim(k)}}),
                           result.add_input("teacher_probabilities", {DType::kF32, {Dim::outputs(), Dim(k + 1)}})};
  const ops::DistillLoss loss = ops::head_distill(result, *head, targets, taught, form);
  result.add_output("loss", exit_weights.empty()
                                ? loss.loss
                                : add_exit_losses(result, *head, targets, loss.loss, exit_weights));
  result.add_output("divergence", loss.divergence);
  result.add_output("divergences", loss.divergences);
  return prune(result);
}

Result<Graph> add_hidden_losses(const Graph& graph, std::span<const HiddenPair> pairs, double weight) {
  Graph result = graph;
  Value sum;
  for (size_t i = 0; i < pairs.size(); ++i) {
    const HiddenPair& pair = pairs[i];
    Value x = result.find_tap("layer." + std::to_string(pair.layer));
    if (!x.valid()) return no_layer("student", pair.layer);
    const int64_t from = result.type(x).last().factor, to = pair.teacher_width;
    if (from != to) {
      const std::string name = hidden_projection(i);
      x = ops::matmul(result, x, result.add_weight(name, {DType::kF32, {Dim(to), Dim(from)}},
                                                   {{{name, 0, to, 0, from}}, false, 1}));
    }
    const TensorType wanted{DType::kF32, {Dim::tokens(), Dim(to)}};
    const Value teacher = result.add_input("teacher_hidden." + std::to_string(i), wanted);
    const Value part = ops::hidden_distance(result, x, teacher, weight / static_cast<double>(pairs.size()));
    sum = sum.valid() ? ops::add(result, sum, part) : part;
  }
  if (!sum.valid()) return result;
  result.add_output("hidden_distance", sum);
  for (NamedValue& output : result.outputs()) {
    if (output.name == "loss") output.value = ops::add(result, output.value, sum);
  }
  return result;
}

std::string hidden_projection(size_t pair) { return "distill." + std::to_string(pair) + ".projection.weight"; }

Result<Graph> keep_top_tokens(const Graph& graph, int64_t k, double temperature, std::span<const int64_t> layers) {
  Graph result = graph;
  const std::optional<ops::Head> head = find_head(result, take_logits(result));
  if (!head) return no_head("teacher");
  const ops::Taught taught = ops::head_top(result, *head, k, temperature);
  result.add_output("teacher_ids", taught.ids);
  result.add_output("teacher_probabilities", taught.probabilities);
  for (size_t i = 0; i < layers.size(); ++i) {
    const Value hidden = result.find_tap("layer." + std::to_string(layers[i]));
    if (!hidden.valid()) return no_layer("teacher", layers[i]);
    result.add_output("teacher_hidden." + std::to_string(i), hidden);
  }
  return prune(result);
}

}  // namespace strata
