// Checks that a graph is well formed: inputs come before their users, shapes follow the ops' rules, a state is read
// after it was written, chains hold row-wise nodes only, segments ascend, inputs and outputs have names of their own.
// Run after each pass in debug builds and tests.
#pragma once

#include "base/status.h"
#include "compute/graph/graph.h"

namespace strata {

// kInternal with the node at fault.
Status verify(const Graph& graph);

}  // namespace strata
