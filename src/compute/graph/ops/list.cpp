// The one list of ops.
#include <algorithm>
#include <vector>

#include "base/check.h"
#include "compute/graph/op.h"
#include "compute/graph/ops/families.h"

namespace strata {
namespace {

const std::vector<const OpDef*>& list() {
  static const std::vector<const OpDef*> ops = [] {
    std::vector<const OpDef*> all;
    for (const auto family :
         {ops::elementwise_ops(), ops::norm_ops(), ops::matmul_ops(), ops::shape_ops(), ops::rope_ops(),
          ops::pool_ops(), ops::attention_ops(), ops::expert_ops(), ops::loss_ops(), ops::distillation_ops(),
          ops::balance_ops(), ops::collective_ops()}) {
      for (const OpDef& op : family) all.push_back(&op);
    }
    std::sort(all.begin(), all.end(), [](const OpDef* a, const OpDef* b) { return a->name < b->name; });
    return all;
  }();
  return ops;
}

}  // namespace

std::span<const OpDef* const> all_ops() { return list(); }

const OpDef* find_op_or_null(std::string_view name) {
  const auto& ops = list();
  const auto at =
      std::lower_bound(ops.begin(), ops.end(), name, [](const OpDef* op, std::string_view n) { return op->name < n; });
  return at != ops.end() && (*at)->name == name ? *at : nullptr;
}

const OpDef& find_op(std::string_view name) {
  const OpDef* op = find_op_or_null(name);
  if (op == nullptr) check_failed(__FILE__, __LINE__, "no op named " + std::string(name));
  return *op;
}

}  // namespace strata
