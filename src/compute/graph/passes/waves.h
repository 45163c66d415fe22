// The order of computation: which ops run together, without waiting for each other. An op stands in the first wave in
// which its inputs are ready; a chain of row-wise ops (pass fuse) is one task, run row by row.
#pragma once

#include <cstdint>
#include <vector>

#include "compute/graph/graph.h"

namespace strata {

struct Task {
  std::vector<int32_t> nodes;  // one op, or the ops of a chain in order
};
using Wave = std::vector<Task>;  // tasks that do not depend on each other

struct Schedule {
  std::vector<Wave> waves;
  std::vector<int> segment_of_wave;  // ascending
  std::vector<int> wave_of_node;     // -1 for weights, inputs, states and views of them
};

// Views (reshape) need no work and stand in no wave.
Schedule schedule_waves(const Graph& graph);

}  // namespace strata
