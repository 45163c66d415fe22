// Pass add_loss: from a model that gives logits to one that gives the mean cross-entropy of its output rows against the
// batch's targets ([O], next-token ids; -1: not counted). Adds the output "loss".
#pragma once

#include "compute/graph/graph.h"

namespace strata {

Graph add_loss(const Graph& graph);

}  // namespace strata
