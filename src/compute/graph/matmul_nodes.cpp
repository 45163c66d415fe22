#include "compute/graph/matmul_nodes.h"

#include "compute/graph/op.h"

namespace strata {

bool is_matmul(const Node& node) {
  return node.kind == NodeKind::kOp && (node.op->name == "matmul" || node.op->name == "expert_matmul");
}

double numbers_of(const TensorType& type) {
  double numbers = 1;
  for (const Dim& dim : type.shape) numbers *= static_cast<double>(dim.factor);
  return numbers;
}

}  // namespace strata
