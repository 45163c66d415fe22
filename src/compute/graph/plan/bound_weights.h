// Which weights a plan binds, in the order in which it uses them: what a file of packed weights has to hold.
#pragma once

#include <optional>
#include <vector>

#include "compute/graph/plan/bind.h"

namespace strata {

// The weight that is input `input` of an op, in the form in which the op takes it; nothing when it is no weight.
std::optional<BoundWeight> bound_weight(const Graph& graph, const CpuKernels& kernels, const Node& op, size_t input);

// Each weight once per layout. Rows that steps read from the source as they are stored are not among them.
std::vector<BoundWeight> bound_weights(const Graph& graph, const CpuKernels& kernels, WeightBinder& binder);

}  // namespace strata
