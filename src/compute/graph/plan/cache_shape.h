// The shape of a paged cache, read from its state node.
#pragma once

#include "compute/graph/graph.h"
#include "compute/kernels/cpu_kernels.h"

namespace strata {

CacheShape cache_shape(const Node& state);

}  // namespace strata
