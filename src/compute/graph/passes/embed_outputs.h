// Pass embed_outputs: from a model that gives logits to one that gives the pooled final hidden states of each sequence,
// "cls", "mean" and "last" [S, hidden], as encoders do. For steps of whole sequences whose output_rows are all tokens.
// Changes what is computed, not how: the rows' bits are those of the tap "hidden".
#pragma once

#include "base/status.h"
#include "compute/graph/graph.h"

namespace strata {

// kInvalidArgument when the graph names no hidden states.
Result<Graph> embed_outputs(const Graph& graph);

}  // namespace strata
