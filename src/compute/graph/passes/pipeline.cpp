#include "compute/graph/passes/pipeline.h"

#include <algorithm>

#include "compute/graph/passes/add_loss.h"
#include "compute/graph/passes/differentiate.h"
#include "compute/graph/passes/embed_outputs.h"
#include "compute/graph/passes/fp32_weights.h"
#include "compute/graph/passes/fuse.h"
#include "compute/graph/passes/lower_attention.h"
#include "compute/graph/passes/quantize.h"
#include "compute/graph/passes/recompute.h"

namespace strata {
namespace {

struct Pass {
  std::string_view name;
  Graph (*apply)(const Graph&, const CpuKernels&, DType cache_type);
};

constexpr Pass kInference[] = {
    {"lower_attention", [](const Graph& g, const CpuKernels&, DType cache) { return lower_attention_paged(g, cache); }},
    {"quantize", [](const Graph& g, const CpuKernels& kernels, DType) { return quantize(g, kernels); }},
    {"fuse", [](const Graph& g, const CpuKernels&, DType) { return fuse(g); }},
};

constexpr std::string_view kTraining[] = {"fp32_weights", "add_loss", "differentiate", "recompute"};

Result<Graph> graph_after_training_pass(const Graph& graph, std::string_view pass) {
  Graph now = with_fp32_weights(graph);
  if (pass == "fp32_weights") return now;
  if (!now.find_output("logits").valid()) return invalid_argument("this model gives no logits: it has no loss");
  now = add_loss(now);
  if (pass == "add_loss") return now;
  ASSIGN_OR_RETURN(now, differentiate(now));
  if (pass == "differentiate") return now;
  return recompute(now, std::vector<Recomputed>(static_cast<size_t>(count_layers(now)), Recomputed::kAll));
}

}  // namespace

Graph lower_for_inference(const Graph& graph, const CpuKernels& kernels, DType cache_type) {
  Graph now = graph;
  for (const Pass& pass : kInference) now = pass.apply(now, kernels, cache_type);
  return now;
}

Result<Graph> lower_for_embedding(const Graph& graph, const CpuKernels& kernels) {
  Graph now = graph;
  if (graph.find_output("logits").valid()) {
    ASSIGN_OR_RETURN(now, embed_outputs(graph));
  }
  return lower_for_segments(now, kernels);
}

Graph lower_for_segments(const Graph& graph, const CpuKernels& kernels) {
  return fuse(quantize(lower_attention_segments(graph), kernels));
}

std::vector<std::string_view> inference_passes() {
  std::vector<std::string_view> names{"build"};
  for (const Pass& pass : kInference) names.push_back(pass.name);
  return names;
}

Result<Graph> graph_after_pass(const Graph& graph, std::string_view pass, const CpuKernels& kernels, DType cache_type) {
  Graph now = graph;
  if (pass == "build") return now;
  if (std::find(std::begin(kTraining), std::end(kTraining), pass) != std::end(kTraining))
    return graph_after_training_pass(graph, pass);
  for (const Pass& step : kInference) {
    now = step.apply(now, kernels, cache_type);
    if (step.name == pass) return now;
  }
  std::string known;
  for (const std::string_view name : inference_passes()) known += (known.empty() ? "" : ", ") + std::string(name);
  for (const std::string_view name : kTraining) known += ", " + std::string(name);
  return invalid_argument("no pass named \"" + std::string(pass) + "\" (known: " + known + ")");
}

}  // namespace strata
