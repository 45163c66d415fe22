// Pass add_adapters: low-rank adapters (LoRA, https://arxiv.org/abs/2106.09685) on chosen matmuls. Every token carries
// the slot of its adapter, or -1; sequences with different adapters share a batch, and tokens without one keep their
// bits.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "compute/graph/graph.h"

namespace strata {

struct AdapterTarget {
  std::string weight;  // the adapted tensor, "model.layers.0.self_attn.q_proj.weight"
  int64_t rank = 0;    // of the largest adapter; smaller ones are padded with zeros
  // Outputs and inputs of the adapted module. Matmuls by some rows of its weight (q of qkv_proj) take those rows of b.
  int64_t rows = 0;
  int64_t cols = 0;
};

// Slots are stacked: the new weights "lora_a.<weight>" [n_slots, rank, k] and "lora_b.<weight>" [n_slots, n, rank] are
// bound from the tensors of these names; b includes the adapter's scale alpha / rank.
// kInvalidArgument: the model multiplies by a tensor in another shape than the adapter's.
Result<Graph> add_adapters(const Graph& graph, const std::vector<AdapterTarget>& targets, int64_t n_slots);

}  // namespace strata
