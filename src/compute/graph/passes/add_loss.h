// Pass add_loss: from a model that gives logits to one that gives the mean cross-entropy of its output rows against the
// batch's targets ([O], next-token ids; -1: not counted). Adds the output "loss", and drops the logits: where they come
// from a matmul by fp32 weights (scaled, with a bias or bent as heads do), the two become one op that has no [O, vocab]
// in memory.
#pragma once

#include "compute/graph/graph.h"

namespace strata {

Graph add_loss(const Graph& graph);

}  // namespace strata
