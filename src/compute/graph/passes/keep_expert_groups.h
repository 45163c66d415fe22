// Pass keep_expert_groups: makes outputs of how the tokens of a step are spread over the experts of each layer that has
// them, so that it can be counted after a run: "experts:N" is `begin` of the N-th ops::expert_groups, counted from 0.
// Keeps bits.
#pragma once

#include <string>

#include "compute/graph/graph.h"

namespace strata {

Graph keep_expert_groups(const Graph& graph);
std::string expert_groups_output(int layer);

}  // namespace strata
