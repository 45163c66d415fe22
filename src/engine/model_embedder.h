// The real Embedder: a model's plan for whole texts, on the process's compute threads. Texts are flat segments of one
// batch, never chunked, never padded; a text's row is the same bits whatever else is in the batch.
#pragma once

#include <memory>
#include <vector>

#include "base/thread_pool.h"
#include "compute/graph/plan/context.h"
#include "engine/embedder.h"
#include "engine/packed_cache.h"
#include "model/model.h"

namespace strata {

struct EmbedderOptions {
  int64_t context = 0;  // tokens of one text; 0: the model's
  int64_t max_batch_tokens = 512;
  int64_t max_texts = 512;
  PackedCacheOptions packed_cache = {};  // not used with the binder of a runner
};

class ModelEmbedder final : public Embedder {
 public:
  // The model and the pool outlive the embedder. `binder`: that of the model's runner, whose packed weights are then
  // shared; null: the embedder packs them. kInvalidArgument when the model has no hidden states to give or a weight has
  // no kernels here.
  static Result<std::unique_ptr<ModelEmbedder>> make(const Model& model, const CpuKernels& kernels, ThreadPool& pool,
                                                     const EmbedderOptions& options,
                                                     std::shared_ptr<WeightBinder> binder = nullptr);

  const EmbedderLimits& limits() const override { return limits_; }
  Status run(std::span<const TextTokens> texts) override;
  std::span<const float> rows(TextOutput output) override;

  const Plan& plan() const { return context_.plan(); }
  size_t weight_bytes() const { return binder_->bound_bytes(); }
  ExecutionContext& context() { return context_; }  // for benches

 private:
  ModelEmbedder(std::shared_ptr<WeightBinder> binder, std::shared_ptr<const Plan> plan, ThreadPool& pool,
                const EmbedderLimits& limits, const ModelConfig& config);
  void add(const TextTokens& text);

  std::shared_ptr<WeightBinder> binder_;  // owns the packed weights
  ExecutionContext context_;
  EmbedderLimits limits_;
  int32_t padding_id_;  // as ModelConfig has them
  int64_t short_context_;
  // The batch of the step under way.
  std::vector<int32_t> ids_, positions_, token_types_, long_rope_, query_begin_, context_len_, output_rows_;
};

}  // namespace strata
