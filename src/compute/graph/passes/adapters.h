// Pass add_adapters: low-rank adapters (LoRA, https://arxiv.org/abs/2106.09685) on all matmuls that one can change
// (adapter_sites.h). Every token carries the slot of its adapter in the batch, or -1; sequences with different adapters
// share a batch, and tokens without one keep their bits. The adapters themselves come with each batch
// (adapter_weights.h), so they come and go while the plan stays.
//
// Matmuls of one value share an op that multiplies it by their first factors, one after the other.
#pragma once

#include <string>
#include <vector>

#include "compute/graph/passes/adapter_sites.h"

namespace strata {

// What an adapter has to bring for a graph.
struct AdapterPlaces {
  struct First {
    std::string tensor;
    int64_t k = 0;
    DType type = DType::kF32;  // what factors of this tensor are kept in: about as many bits as its own numbers have
  };
  struct Second {
    AdapterSite site;
    size_t first = 0;  // number of its first factor
  };
  int64_t max_rank = 0;
  std::vector<First> first;
  std::vector<Second> second;
};

struct GraphWithAdapters {
  Graph graph;
  AdapterPlaces places;
};

GraphWithAdapters add_adapters(const Graph& graph, int64_t max_rank);

}  // namespace strata
