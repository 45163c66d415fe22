// Pass keep_matmul_inputs: makes outputs of what every matmul multiplies, so that its statistics can be taken after a
// run:
//   "input:W"            rows [rows, k] that the weight named W is multiplied with, before they are quantized
//   "pairs:W" "begin:W"  for experts: which of them go to which expert (ops::expert_groups)
// keep_expert_groups gives the last of them only. Both keep bits.
#pragma once

#include "compute/graph/graph.h"

namespace strata {

Graph keep_matmul_inputs(const Graph& graph);
Graph keep_expert_groups(const Graph& graph);

}  // namespace strata
