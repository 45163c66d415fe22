#include "compute/graph/passes/adapter_sites.h"

#include "compute/graph/op.h"

namespace strata {
namespace {

// Empty: the weight is made of several tensors.
std::vector<WeightPart> rows_of_one_tensor(const WeightRef& ref) {
  std::vector<WeightPart> rows;
  for (const WeightPart& part : ref.parts) {
    if (part.tensor != ref.parts[0].tensor) return {};
    rows.push_back(part);
    if (ref.transpose) {  // stored as [k, n]
      rows.back().row_begin = part.col_begin;
      rows.back().row_end = part.col_end;
      rows.back().row_step = part.col_step;
    }
  }
  return rows;
}

}  // namespace

std::vector<AdapterSite> adapter_sites(const Graph& graph) {
  std::vector<AdapterSite> sites;
  for (size_t i = 0; i < graph.nodes().size(); ++i) {
    const Node& node = graph.nodes()[i];
    if (node.kind != NodeKind::kOp || node.op->name != "matmul") continue;
    const Node& weight = graph.node(node.inputs[1]);
    const TensorType& x = graph.type(node.inputs[0]);
    if (weight.kind != NodeKind::kWeight || weight.outputs[0].shape.size() != 2 || x.shape.size() != 2) continue;
    AdapterSite site;
    site.rows = rows_of_one_tensor(weight.weight);
    if (site.rows.empty()) continue;
    site.node = static_cast<int32_t>(i);
    site.tensor = site.rows[0].tensor;
    site.n = weight.outputs[0].shape[0].factor;
    site.k = weight.outputs[0].last().factor;
    site.scale = weight.weight.scale;
    site.is_transposed = weight.weight.transpose;
    site.is_head = x.shape[0] == Dim::outputs();
    sites.push_back(std::move(site));
  }
  return sites;
}

}  // namespace strata
