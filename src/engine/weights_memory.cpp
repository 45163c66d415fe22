#include "engine/weights_memory.h"

#include <fmt/format.h>

#include <set>

#include "base/log.h"
#include "compute/graph/op.h"
#include "compute/graph/passes/schedule_weights.h"
#include "compute/graph/plan/bound_weights.h"
#include "compute/graph/plan/steps.h"

namespace strata {
namespace {

// Of weights that are never streamed: fp32 ones, and tables whose rows are read where they are stored.
uint64_t fixed_bytes(const Graph& graph, const CpuKernels& kernels, WeightBinder& binder) {
  uint64_t bytes = 0;
  for (const BoundWeight& weight : bound_weights(graph, kernels, binder)) {
    if (weight.family == nullptr) bytes += weight.bytes();
  }
  std::set<int32_t> tables;
  for (const Node& op : graph.nodes()) {
    for (size_t input = 0; op.kind == NodeKind::kOp && input < op.inputs.size(); ++input) {
      const Node& weight = graph.node(op.inputs[input]);
      if (weight.kind != NodeKind::kWeight || weight_form(graph, op, input) != WeightForm::kRows) continue;
      if (binder.stored_rows(weight) == nullptr || !tables.insert(op.inputs[input].node).second) continue;
      bytes += graph.type(op.inputs[input]).bytes({});
    }
  }
  return bytes;
}

}  // namespace

Result<uint64_t> fit_weights(const Checkpoint& checkpoint, Graph& lowered, const CpuKernels& kernels,
                             WeightBinder& binder, ThreadPool& pool, const PackedCacheOptions& cache, uint64_t memory) {
  const auto packed_bytes = [&](const Node& op, size_t input) -> uint64_t {
    const std::optional<BoundWeight> weight = bound_weight(lowered, kernels, op, input);
    return weight && weight->family != nullptr ? weight->bytes() : 0;
  };
  ASSIGN_OR_RETURN(
      WeightSchedule schedule,
      schedule_weights(lowered, packed_bytes, fixed_bytes(lowered, kernels, binder), memory, window_bytes_for(memory)));
  if (schedule.buffer_bytes == 0) {
    use_cached_weights(checkpoint, lowered, kernels, binder, pool, cache);
    return uint64_t{0};
  }
  PackedCacheOptions options = cache;
  options.min_bytes = 0;
  options.keep_mapped = false;
  Result<std::shared_ptr<const PackedFile>> file = cached_weights(checkpoint, lowered, kernels, binder, pool, options);
  if (!file.ok()) return file.status().with_context("--weights-memory");
  if (*file == nullptr) {
    return invalid_argument(
        "--weights-memory: streams from the file of packed weights (name a folder with --packed-cache)");
  }
  binder.use(*std::move(file), WeightBinder::FileUse::kCopy);
  log_info(fmt::format("weights: {} MiB stay in memory, {} MiB are read for each step through a buffer of {} MiB",
                       schedule.resident_bytes >> 20, schedule.streamed_bytes >> 20, schedule.buffer_bytes >> 20));
  const uint64_t buffer = schedule.buffer_bytes;
  lowered = std::move(schedule.graph);
  return buffer;
}

}  // namespace strata
