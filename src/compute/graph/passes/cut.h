// Pass cut (keeps bits): divides a graph into segments that can be run one after the other, on one machine or several.
// A cut goes through the residual stream: the values that cross it are few.
#pragma once

#include <span>

#include "compute/graph/graph.h"

namespace strata {

// Starts a new segment after each of these values (in ascending order), e.g. the taps at layer borders.
Graph cut(const Graph& graph, std::span<const Value> after);
// n segments of about equally many weights, cut at the taps named "layer.<i>" (the residual stream after layer i).
Graph cut_evenly(const Graph& graph, int n_segments);

}  // namespace strata
