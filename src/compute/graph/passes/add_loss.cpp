#include "compute/graph/passes/add_loss.h"

#include <algorithm>
#include <optional>

#include "base/check.h"
#include "compute/graph/op.h"
#include "compute/graph/ops/ops.h"

namespace strata {
namespace {

struct FoundHead {
  Value x, w, bias;
  ops::HeadForm form;
};

// Reads a head from its logits back to its matmul: [scale] [tanh] [scale] [add_bias] matmul. Nothing when it is not
// one.
std::optional<FoundHead> find_head(const Graph& graph, Value logits) {
  FoundHead head;
  Value at = logits;
  const auto is = [&](std::string_view op) {
    return graph.node(at).kind == NodeKind::kOp && graph.node(at).op->name == op;
  };
  const auto take_scale = [&] {
    double factor = 1;
    for (; is("scale"); at = graph.node(at).inputs[0]) factor *= graph.node(at).attributes.number("factor");
    return factor;
  };
  head.form.scale = take_scale();
  if (is("activate") && graph.node(at).attributes.text("function") == "tanh") {
    head.form.bend = head.form.scale;
    at = graph.node(at).inputs[0];
    head.form.scale = take_scale();
  }
  if (is("add_bias")) {
    head.bias = graph.node(at).inputs[1];
    at = graph.node(at).inputs[0];
  }
  if (!is("matmul")) return std::nullopt;
  head.x = graph.node(at).inputs[0];
  head.w = graph.node(at).inputs[1];
  const bool fits = graph.type(head.w).dtype == DType::kF32 && graph.type(head.x).shape.size() == 2;
  return fits ? std::optional(head) : std::nullopt;
}

}  // namespace

Graph add_loss(const Graph& graph) {
  Graph result = graph;
  const Value logits = result.find_output("logits");
  CHECK(logits.valid());
  std::erase_if(result.outputs(), [](const NamedValue& output) { return output.name == "logits"; });
  const Value targets = result.add_input("targets", {DType::kI32, {Dim::outputs()}});
  const std::optional<FoundHead> head = find_head(result, logits);
  const Value loss = head ? ops::head_cross_entropy(result, head->x, head->w, head->bias, targets, head->form)
                          : ops::cross_entropy(result, logits, targets);
  result.add_output("loss", loss);
  return prune(result);
}

}  // namespace strata
