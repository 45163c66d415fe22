// Pass keep_matmul_inputs: makes outputs of what every matmul multiplies, so that its statistics can be taken after a
// run:
//   "input:W"            rows [rows, k] that the weight named W is multiplied with, before they are quantized
//   "pairs:W" "begin:W"  for experts: which of them go to which expert (ops::expert_groups)
// Keeps bits.
#pragma once

#include "compute/graph/graph.h"

namespace strata {

Graph keep_matmul_inputs(const Graph& graph);

}  // namespace strata
