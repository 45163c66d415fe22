// Pass fuse (keeps bits): joins row-wise ops that feed each other into chains. The rows of a chain are computed a few
// at a time through all its ops, so its intermediate values stay in the cache and its ops need no barrier between them.
#pragma once

#include "compute/graph/graph.h"

namespace strata {

Graph fuse(const Graph& graph);

}  // namespace strata
