// What the ops of a graph cost, counted from their shapes: to compare graphs that compute the same, not to say how long
// they take.
#pragma once

#include "compute/graph/graph.h"

namespace strata {

// Of a product or attention, two for each weight or score it multiplies (`context`: tokens that a token sees, on
// average). Of any other op, what the time of moving its numbers is worth in such operations.
double count_operations(const Graph& graph, const Node& node, const SymbolValues& sizes, double context);
double count_operations(const Graph& graph, const SymbolValues& sizes, double context);

}  // namespace strata
