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

}  // namespace

Graph add_loss(const Graph& graph) {
  Graph result = graph;
  const Value logits = take_logits(result);
  const Value targets = result.add_input("targets", {DType::kI32, {Dim::outputs()}});
  const std::optional<ops::Head> head = find_head(result, logits);
  result.add_output("loss", head ? ops::head_cross_entropy(result, *head, targets)
                                 : ops::cross_entropy(result, logits, targets));
  return prune(result);
}

Result<Graph> add_distillation_loss(const Graph& graph, const ops::Distillation& form, int64_t k) {
  Graph result = graph;
  const Value logits = take_logits(result);
  const std::optional<ops::Head> head = find_head(result, logits);
  if (!head || !is_f32(result, head->w)) return no_head("student");
  const Value targets = result.add_input("targets", {DType::kI32, {Dim::outputs()}});
  const ops::Taught taught{result.add_input("teacher_ids", {DType::kI32, {Dim::outputs(), Dim(k)}}),
                           result.add_input("teacher_probabilities", {DType::kF32, {Dim::outputs(), Dim(k + 1)}})};
  const ops::DistillLoss loss = ops::head_distill(result, *head, targets, taught, form);
  result.add_output("loss", loss.loss);
  result.add_output("divergence", loss.divergence);
  return prune(result);
}

Result<Graph> keep_top_tokens(const Graph& graph, int64_t k, double temperature) {
  Graph result = graph;
  const std::optional<ops::Head> head = find_head(result, take_logits(result));
  if (!head) return no_head("teacher");
  const ops::Taught taught = ops::head_top(result, *head, k, temperature);
  result.add_output("teacher_ids", taught.ids);
  result.add_output("teacher_probabilities", taught.probabilities);
  return prune(result);
}

}  // namespace strata
