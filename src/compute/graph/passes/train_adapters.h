// Pass train_adapters: a low-rank adapter in plain ops, y + scale * (x a^T) b^T beside each matmul by an adapted
// tensor, so that differentiate() trains it. Its factors are the weights "lora_a.<tensor>" [rank, inputs] and
// "lora_b.<tensor>" [outputs, rank] in fp32; matmuls by some rows of the tensor (q of qkv_proj) take those rows of b.
#pragma once

#include <string>
#include <vector>

#include "compute/graph/passes/adapter_sites.h"

namespace strata {

struct TrainedAdapter {
  std::string tensor;  // of an AdapterSite
  int64_t rank = 0;
  double scale = 1;
};

Graph train_adapters(const Graph& graph, const std::vector<TrainedAdapter>& adapters);

}  // namespace strata
