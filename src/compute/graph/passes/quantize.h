// Pass quantize: brings the activations of every matmul into the form that the arithmetic of its weights asks for (int8
// rows for quantized weights, bf16 for BF16). One conversion serves all matmuls that read the same value. Weights keep
// the type they have in the file. Changes bits: it fixes the arithmetic id.
#pragma once

#include "compute/graph/graph.h"
#include "compute/kernels/cpu_kernels.h"

namespace strata {

Graph quantize(const Graph& graph, const CpuKernels& kernels);

}  // namespace strata
