// Where a low-rank adapter (LoRA, https://arxiv.org/abs/2106.09685) can change a model: the matmuls by rows of one
// tensor. Pass add_adapters serves adapters there, pass train_adapters trains one.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "compute/graph/graph.h"

namespace strata {

struct AdapterSite {
  int32_t node = -1;   // the matmul: y [T or O, n] = x [T or O, k] w^T
  std::string tensor;  // "model.layers.0.self_attn.q_proj.weight"
  // The rows of w as the tensor has its outputs, [row_begin, row_end) by row_step, one range after the other: all of
  // them, or the queries of a fused projection.
  std::vector<WeightPart> rows;
  int64_t n = 0;
  int64_t k = 0;
  float scale = 1;  // of the weight: y = scale * x (the tensor)^T
  bool is_head = false;        // gives logits
  bool is_transposed = false;  // the tensor is stored as [k, outputs]
};

// In the order of computation.
std::vector<AdapterSite> adapter_sites(const Graph& graph);

}  // namespace strata
