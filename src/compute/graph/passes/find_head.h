// The head of a model, found behind its logits.
#pragma once

#include <optional>

#include "compute/graph/ops/ops.h"

namespace strata {

// Reads a head from its logits back to its matmul: [scale] [tanh] [scale] [add_bias] matmul. Nothing when it is not
// one.
std::optional<ops::Head> find_head(const Graph& graph, Value logits);

}  // namespace strata
