// The op families: each array is defined in the file of its family and listed in list.cpp.
#pragma once

#include <span>

#include "compute/graph/op.h"

namespace strata::ops {

std::span<const OpDef> elementwise_ops();
std::span<const OpDef> norm_ops();
std::span<const OpDef> matmul_ops();
std::span<const OpDef> shape_ops();
std::span<const OpDef> rope_ops();
std::span<const OpDef> pool_ops();
std::span<const OpDef> attention_ops();
std::span<const OpDef> expert_ops();
std::span<const OpDef> loss_ops();
std::span<const OpDef> distillation_ops();
std::span<const OpDef> balance_ops();
std::span<const OpDef> collective_ops();

// Shorthand for shape rules.
using Types = std::span<const TensorType>;
inline bool is_f32(const TensorType& type) { return type.dtype == DType::kF32; }

// Heads with a loss: what may stand behind the first n_inputs. Empty, or an error text.
std::string check_behind_head(Types in, size_t n_inputs);
// For their gradient by x: the same head with the weight a second time, whose rows it reads.
void ask_for_dx(GradientContext& context);

}  // namespace strata::ops
