// Slices of a graph's weights: the same tensors by narrower references.
#pragma once

#include <cstdint>
#include <string>

#include "compute/graph/graph.h"

namespace strata {

// [begin, end) of an axis, and what it adds to the name of a weight.
struct WeightSlice {
  int64_t begin = 0;
  int64_t end = 0;
  std::string suffix;
};

// Adds rows of every [n, k] matrix of the weight, or of a [n_heads, ...] stack whole heads.
Value add_row_slice(Graph& graph, const Node& weight, const WeightSlice& slice, bool stack_of_heads = false);
// Adds columns of all its matrices; of a vector, numbers. The slice's borders lie on blocks of the weight's type.
Value add_column_slice(Graph& graph, const Node& weight, const WeightSlice& slice);

}  // namespace strata
