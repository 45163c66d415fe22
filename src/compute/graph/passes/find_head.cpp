#include "compute/graph/passes/find_head.h"

#include "compute/graph/op.h"

namespace strata {

std::optional<ops::Head> find_head(const Graph& graph, Value logits) {
  ops::Head head;
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
  return graph.type(head.x).shape.size() == 2 ? std::optional(head) : std::nullopt;
}

}  // namespace strata
