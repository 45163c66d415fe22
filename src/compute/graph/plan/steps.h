// How ops become steps: one factory per op family, chosen by the op's name in one table (steps.cpp).
#pragma once

#include <memory>

#include "compute/graph/graph.h"
#include "compute/graph/plan/step_kernel.h"

namespace strata {

struct StepContext {
  const Graph& graph;
  const CpuKernels& kernels;

  const TensorType& input(const Node& node, size_t i) const { return graph.type(node.inputs[i]); }
};

// How the plan gives a weight operand to a step.
enum class WeightForm : uint8_t { kDense, kPacked, kRows };
WeightForm weight_form(const Graph& graph, const Node& node, size_t input);

// The family that multiplies by weights of this type and k; CHECKs that there is one.
const MatmulFamily& family_for(const CpuKernels& kernels, DType weight, int64_t k);

// Null when this processor's table has no kernel for the node: an error of the caller's, named by the plan.
std::unique_ptr<StepKernel> make_step(const StepContext& context, const Node& node);

std::unique_ptr<StepKernel> make_elementwise_step(const StepContext&, const Node&);
std::unique_ptr<StepKernel> make_norm_step(const StepContext&, const Node&);
std::unique_ptr<StepKernel> make_matmul_step(const StepContext&, const Node&);
std::unique_ptr<StepKernel> make_adapter_step(const StepContext&, const Node&);
std::unique_ptr<StepKernel> make_shape_step(const StepContext&, const Node&);
std::unique_ptr<StepKernel> make_position_step(const StepContext&, const Node&);  // rope, embed
std::unique_ptr<StepKernel> make_pool_step(const StepContext&, const Node&);
std::unique_ptr<StepKernel> make_attention_step(const StepContext&, const Node&);
std::unique_ptr<StepKernel> make_expert_step(const StepContext&, const Node&);
std::unique_ptr<StepKernel> make_expert_gradient_step(const StepContext&, const Node&);
RouteArgs route_form(const StepContext&, const Node&);  // what a route and its gradient have in common
std::unique_ptr<StepKernel> make_loss_step(const StepContext&, const Node&);
std::unique_ptr<StepKernel> make_distillation_step(const StepContext&, const Node&);
std::unique_ptr<StepKernel> make_balance_step(const StepContext&, const Node&);
std::unique_ptr<StepKernel> make_collective_step(const StepContext&, const Node&);

Activation activation_from_name(const std::string& name);

}  // namespace strata
