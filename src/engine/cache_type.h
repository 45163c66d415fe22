// The type of keys and values in the cache that suits a model, where nobody asked for one. Pure.
#pragma once

#include "compute/graph/graph.h"
#include "compute/kernels/cpu_kernels.h"

namespace strata {

// kBF16 where the kernels multiply it in pairs (twice the speed of fp32) and most weights are quantized or BF16: their
// products are of numbers rounded as much or more already, so the model loses nothing that can be measured
// (docs/performance.md). Else kF16.
DType suitable_cache_type(const Graph& graph, const CpuKernels& kernels);

}  // namespace strata
