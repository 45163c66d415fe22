// The chain of passes from a model to what the planner takes, in order and by name.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "compute/graph/graph.h"
#include "compute/kernels/cpu_kernels.h"

namespace strata {

// Inference on this instruction set with a paged cache: lower_attention . quantize . fuse.
Graph lower_for_inference(const Graph& graph, const CpuKernels& kernels, DType cache_type);

// Embeddings and scores, whole sequences without a cache: embed_outputs where the model gives logits . lower_attention
// . quantize . fuse. kInvalidArgument as embed_outputs.
Result<Graph> lower_for_embedding(const Graph& graph, const CpuKernels& kernels);

// Whole sequences without a cache, as they are: lower_attention . quantize . fuse.
Graph lower_for_segments(const Graph& graph, const CpuKernels& kernels);

// The names of the passes for inference, in order, "build" (the graph as the architecture wrote it) first.
std::vector<std::string_view> inference_passes();
// The graph after one of them, or of those that training begins with: fp32_weights, add_loss, differentiate, recompute
// (of all layers). kInvalidArgument when there is no pass of this name (lists them), or the model cannot be trained.
Result<Graph> graph_after_pass(const Graph& graph, std::string_view pass, const CpuKernels& kernels, DType cache_type);

}  // namespace strata
