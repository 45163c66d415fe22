// The real Runner: a model's plan, its packed weights and the paged cache, on the process's compute threads.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "base/thread_pool.h"
#include "compute/graph/passes/adapters.h"
#include "compute/graph/plan/context.h"
#include "engine/expert_load.h"
#include "engine/packed_cache.h"
#include "engine/runner.h"
#include "model/model.h"

namespace strata {

struct RunnerOptions {
  DType cache_type = DType::kF16;     // of K and V in the cache: is_cache_type()
  int64_t context = 0;                // tokens of one sequence; 0: the model's
  int64_t max_batch_tokens = 512;     // T of one step
  int64_t max_sequences = 256;        // S of one step
  int64_t max_outputs = 256;          // O of one step
  size_t kv_bytes = size_t{1} << 30;  // memory for the cache
  PackedCacheOptions packed_cache = {};
  uint64_t weights_memory = 0;      // for weights; what does not fit is read anew for each step. 0: all there is
  int64_t max_adapter_rank = 0;     // of LoRA adapters that requests may bring; 0: they may bring none
  bool keep_matmul_inputs = false;  // as outputs of the plan (passes/keep_matmul_inputs.h): measuring importance
};

// kInvalidArgument names a weight that the kernels cannot multiply by.
Status check_weight_types(const Graph& graph, const CpuKernels& kernels);

class ModelRunner final : public Runner {
 public:
  // Binds the weights (without a packed cache this reads and packs the whole model) and allocates the cache. The model
  // and the pool outlive the runner. kInvalidArgument when the model generates nothing, the cache memory does not hold
  // one block, or a type has no kernels here.
  static Result<std::unique_ptr<ModelRunner>> make(const Model& model, const CpuKernels& kernels, ThreadPool& pool,
                                                   const RunnerOptions& options);

  // Of a graph that is lowered already, with weights that others bind and change between runs: a model in training. Its
  // cache holds max_sequences of max_context tokens. The binder outlives the runner.
  static Result<std::unique_ptr<ModelRunner>> make(const Graph& lowered, WeightBinder& binder,
                                                   const CpuKernels& kernels, ThreadPool& pool, RunnerLimits limits);

  const RunnerLimits& limits() const override { return limits_; }
  Result<std::span<const float>> run(const Batch& batch) override;
  void copy_block(int from, int to) override;
  void clear_block(int block) override;
  // The system gives memory as it is first touched, which can take milliseconds: better not in the middle of a step.
  bool prepare() override;
  const ExpertLoad* expert_load() const override { return expert_load_.get(); }

  const Plan& plan() const { return context_.plan(); }
  ExecutionContext& context() { return context_; }       // for benches
  size_t weight_bytes() const { return weight_bytes_; }  // packed, in memory
  // Owns the packed weights; other plans of the same model may share them.
  const std::shared_ptr<WeightBinder>& binder() const { return binder_; }
  size_t cache_bytes() const { return cache_.size(); }
  // What an adapter has to bring for this plan; empty: it takes none.
  const AdapterPlaces& adapter_places() const { return adapter_places_; }
  // Names what decides the bits of a result: weights' arithmetic, cache type. Part of every prefix key.
  const std::string& arithmetic() const { return arithmetic_; }

 private:
  ModelRunner(std::shared_ptr<WeightBinder> binder, std::shared_ptr<const Plan> plan, ThreadPool& pool,
              RunnerLimits limits);
  std::byte* block(size_t state, int index) const;
  void find_expert_groups();

  std::shared_ptr<WeightBinder> binder_;
  ExecutionContext context_;
  RunnerLimits limits_;
  AlignedBuffer cache_;  // state after state, block after block
  std::vector<size_t> state_offset_;
  int preparable_blocks_ = 0;
  int prepared_blocks_ = 0;     // in all states
  size_t prepared_states_ = 0;  // for which the blocks after these are prepared too
  std::vector<std::span<const int32_t>> expert_groups_;  // of the last run: `begin` of each layer with experts
  std::unique_ptr<ExpertLoad> expert_load_;
  size_t weight_bytes_ = 0;
  std::string arithmetic_;
  AdapterPlaces adapter_places_;
};

}  // namespace strata
