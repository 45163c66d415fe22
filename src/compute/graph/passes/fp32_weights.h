// Pass fp32_weights: the same graph with every weight in fp32, whatever the checkpoint has: what is trained.
#pragma once

#include "compute/graph/graph.h"

namespace strata {

Graph with_fp32_weights(const Graph& graph);

}  // namespace strata
