// Pass plan_memory (keeps bits): gives every value of a graph a place in one arena. Values whose lives do not overlap
// share memory; ops that may work in place do. Sizes are those for the maxima of the symbols.
#pragma once

#include <cstddef>
#include <vector>

#include "compute/graph/graph.h"
#include "compute/graph/passes/waves.h"

namespace strata {

struct MemoryPlan {
  static constexpr size_t kNowhere = static_cast<size_t>(-1);
  std::vector<std::vector<size_t>> offset;  // by node and output; kNowhere for what is not in the arena
  size_t bytes = 0;                         // of the arena, after reuse
  size_t bytes_unshared = 0;                // if every value had memory of its own
  size_t bytes_inside = 0;                  // the most at a time of what is no output: in training, activations
};

MemoryPlan plan_memory(const Graph& graph, const Schedule& schedule, const SymbolValues& maxima);

}  // namespace strata
