#include "compute/graph/plan/steps.h"

#include <algorithm>
#include <string>

#include "base/check.h"
#include "compute/graph/op.h"

namespace strata {
namespace {

using Factory = std::unique_ptr<StepKernel> (*)(const StepContext&, const Node&);
struct Entry {
  std::string_view op;
  Factory make;
};

constexpr Entry kSteps[] = {
    {"add", make_elementwise_step},
    {"mul", make_elementwise_step},
    {"scale", make_elementwise_step},
    {"clamp", make_elementwise_step},
    {"add_bias", make_elementwise_step},
    {"activate", make_elementwise_step},
    {"activate_grad", make_elementwise_step},
    {"gated", make_elementwise_step},
    {"gated_grad", make_elementwise_step},
    {"clamped_gated", make_elementwise_step},
    {"clamped_gated_grad", make_elementwise_step},
    {"softmax", make_elementwise_step},
    {"softmax_grad", make_elementwise_step},
    {"clamp_grad", make_elementwise_step},
    {"sum_rows", make_elementwise_step},
    {"rms_norm", make_norm_step},
    {"rms_norm_dx", make_norm_step},
    {"rms_norm_dw", make_norm_step},
    {"layer_norm", make_norm_step},
    {"layer_norm_dx", make_norm_step},
    {"layer_norm_dw", make_norm_step},
    {"matmul", make_matmul_step},
    {"matmul_dx", make_matmul_step},
    {"matmul_dw", make_matmul_step},
    {"head_matmul", make_matmul_step},
    {"head_matmul_dx", make_matmul_step},
    {"head_matmul_dw", make_matmul_step},
    {"to_activation", make_matmul_step},
    {"from_activation", make_matmul_step},
    {"lora_down", make_adapter_step},
    {"lora_up", make_adapter_step},
    {"embed", make_position_step},
    {"embed_grad", make_position_step},
    {"rope", make_position_step},
    {"slice", make_shape_step},
    {"slice_grad", make_shape_step},
    {"concat", make_shape_step},
    {"gather_rows", make_shape_step},
    {"scatter_rows", make_shape_step},
    {"pool", make_pool_step},
    {"pool_grad", make_pool_step},
    {"cache_write", make_attention_step},
    {"paged_attention", make_attention_step},
    {"segment_attention", make_attention_step},
    {"attention_grad", make_attention_step},
    {"sinks_grad", make_attention_step},
    {"route", make_expert_step},
    {"expert_groups", make_expert_step},
    {"expert_matmul", make_expert_step},
    {"combine", make_expert_step},
    {"route_grad", make_expert_gradient_step},
    {"expert_matmul_dx", make_expert_gradient_step},
    {"expert_matmul_dw", make_expert_gradient_step},
    {"combine_grad", make_expert_gradient_step},
    {"cross_entropy", make_loss_step},
    {"mean_loss", make_loss_step},
    {"head_loss", make_loss_step},
    {"head_loss_dw", make_loss_step},
    {"head_top", make_distillation_step},
    {"head_distill", make_distillation_step},
    {"head_distill_dw", make_distillation_step},
    {"hidden_distance", make_distillation_step},
    {"hidden_distance_grad", make_distillation_step},
    {"expert_shares", make_balance_step},
    {"expert_shares_grad", make_balance_step},
    {"balance_loss", make_balance_step},
    {"balance_loss_grad", make_balance_step},
    {"all_sum", make_collective_step},
};

}  // namespace

int64_t RowKernel::grain(const StepArgs& args) const {
  // About 16 KiB of output per piece: enough to be worth handing out, little enough to stay in the first-level cache.
  const Operand& out = args.out[0];
  const int64_t row = std::max<int64_t>(1, out.elements() / std::max<int64_t>(1, out.leading()));
  return std::clamp<int64_t>(4096 / row, 1, 64);
}

bool RowKernel::is_brief(const StepArgs& args) const { return args.out[0].elements() <= kBriefNumbers; }

WeightForm weight_form(const Graph& graph, const Node& node, size_t input) {
  const std::string_view op = node.op->name;
  static constexpr std::string_view kPackedSecond[] = {
      "matmul",       "matmul_dx", "expert_matmul", "expert_matmul_dx", "head_loss",
      "head_loss_dw", "head_top",  "head_distill",  "head_distill_dw"};
  const DType dtype = graph.type(node.inputs[input]).dtype;
  if (input == 1 && op == "matmul_dx" && (dtype == DType::kF32 || graph.type(node.inputs[0]).dtype == DType::kActBF16))
    return WeightForm::kRows;
  if (input > 1 && op.starts_with("head_") && graph.type(node.inputs[input]).shape.size() == 2)
    return WeightForm::kRows;  // the weight again, of a head with a loss
  if (input == 1 && std::find(std::begin(kPackedSecond), std::end(kPackedSecond), op) != std::end(kPackedSecond))
    return WeightForm::kPacked;
  if (input == 0 && op == "embed") return WeightForm::kRows;
  return WeightForm::kDense;
}

const MatmulFamily& family_for(const CpuKernels& kernels, DType weight, int64_t k) {
  const MatmulFamily* family = matmul_family(kernels, weight, k);
  if (family == nullptr) {
    check_failed(__FILE__, __LINE__, "no " + std::string(kernels.name) + " matmul for " + std::string(name(weight)));
  }
  return *family;
}

std::unique_ptr<StepKernel> make_step(const StepContext& context, const Node& node) {
  for (const Entry& entry : kSteps) {
    if (entry.op == node.op->name) return entry.make(context, node);
  }
  return nullptr;
}

}  // namespace strata
