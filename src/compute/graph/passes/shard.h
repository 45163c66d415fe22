// Pass shard(tensor): what one of n ranks computes of a model (Megatron-LM, https://arxiv.org/abs/1909.08053). Heads
// and feed-forward columns are divided: weights become slices, and an all_sum follows each matmul whose input is
// divided. The pass finds the regions by itself, from matmuls that read a whole value to the matmuls that make one
// again; what lies between must treat heads or columns independently. Changes bits (sums are split over ranks), equally
// on every rank.
#pragma once

#include "base/status.h"
#include "compute/graph/graph.h"

namespace strata {

// kInvalidArgument when a region does not divide by n_ranks (naming it).
Result<Graph> shard_tensor(const Graph& graph, int rank, int n_ranks);

}  // namespace strata
