// Which weights a plan binds, in the order in which it uses them: what a file of packed weights has to hold.
#pragma once

#include <vector>

#include "compute/graph/plan/bind.h"

namespace strata {

// Each weight once per layout. Rows that steps read from the source as they are stored are not among them.
std::vector<BoundWeight> bound_weights(const Graph& graph, const CpuKernels& kernels, WeightBinder& binder);

}  // namespace strata
