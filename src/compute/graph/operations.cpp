#include "compute/graph/operations.h"

#include "compute/graph/op.h"

namespace strata {
namespace {

// A number that is read and written moves 8 bytes: as long as this many operations at 10 for each byte of the memory.
constexpr double kOperationsPerNumber = 40;

double count_numbers(const TensorType& type, const SymbolValues& sizes) {
  double numbers = 1;
  for (const Dim& dim : type.shape) numbers *= static_cast<double>(dim.at(sizes));
  return numbers;
}

double extent(const Dim& dim) { return static_cast<double>(dim.factor); }

// How many products of [rows, n] and [n, k] the head's loss makes: its logits, and those of its gradients.
double products_of_head(const Node& node) {
  if (node.op->name == "head_loss_dw") return 2;
  return node.attributes.integer("gradients") != 0 ? 2 : 1;
}

}  // namespace

double count_operations(const Graph& graph, const Node& node, const SymbolValues& sizes, double context) {
  if (node.kind != NodeKind::kOp || node.op->view) return 0;
  const std::string_view op = node.op->name;
  const auto in = [&](size_t i) -> const TensorType& { return graph.type(node.inputs[i]); };
  if (op.starts_with("head_loss")) {
    return 2 * products_of_head(node) * count_numbers(in(0), sizes) * extent(in(1).shape[0]);
  }
  if (op.ends_with("matmul_dw")) return 2 * count_numbers(in(0), sizes) * extent(in(1).last());
  if (op.ends_with("matmul_dx")) return 2 * count_numbers(in(0), sizes) * extent(node.outputs[0].last());
  if (op.ends_with("matmul")) return 2 * count_numbers(node.outputs[0], sizes) * extent(in(0).last());
  if (op == "attention" || op == "segment_attention")
    return 2 * context * (count_numbers(in(0), sizes) + count_numbers(node.outputs[0], sizes));
  if (op == "attention_grad") return 2 * context * (3 * count_numbers(in(0), sizes) + 2 * count_numbers(in(3), sizes));
  double numbers = 0;
  for (const TensorType& type : node.outputs) numbers += count_numbers(type, sizes);
  return kOperationsPerNumber * numbers;
}

double count_operations(const Graph& graph, const SymbolValues& sizes, double context) {
  double sum = 0;
  for (const Node& node : graph.nodes()) sum += count_operations(graph, node, sizes, context);
  return sum;
}

}  // namespace strata
