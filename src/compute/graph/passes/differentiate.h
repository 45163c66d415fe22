// Pass differentiate: adds the backward pass (reverse-mode differentiation). In: a graph with a scalar output `loss`.
// Out: the same graph, with more outputs: one "grad.<name>" per weight that is trained and that the loss depends on; the
// loss is "loss". A weight that is used twice (tied embeddings) gets the sum. The gradient of each op is in its OpDef.
// What only the gradients of other weights would need is not in the result.
#pragma once

#include <functional>
#include <string_view>

#include "base/status.h"
#include "compute/graph/graph.h"

namespace strata {

// `is_trained`: of a weight; null: all are. kInvalidArgument when there is no such output or an op on the way has no
// gradient.
Result<Graph> differentiate(const Graph& graph, std::string_view loss = "loss",
                            const std::function<bool(const Node& weight)>& is_trained = {});

}  // namespace strata
