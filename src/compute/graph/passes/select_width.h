// Pass select_width: the narrower model within one whose feed-forwards are nested (MatFormer,
// https://arxiv.org/abs/2310.07707): the first `width` neurons of each. Rows of what goes in (gate, up, their biases)
// and columns of what comes out become slices; no bytes are touched. Of experts it is the inside of each.
#pragma once

#include <cstdint>

#include "base/status.h"
#include "compute/graph/graph.h"

namespace strata {

// Narrows the feed-forwards that are `full` wide; others stay. kInvalidArgument: there is none of them, a width that is
// not in 1 to full, or one whose border does not lie on the blocks of a weight (naming it).
Result<Graph> select_width(const Graph& graph, int64_t full, int64_t width);

}  // namespace strata
