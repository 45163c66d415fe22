#include "engine/model_embedder.h"

#include <algorithm>
#include <numeric>

#include "compute/graph/passes/pipeline.h"
#include "engine/model_runner.h"

namespace strata {

Result<std::unique_ptr<ModelEmbedder>> ModelEmbedder::make(const Model& model, const CpuKernels& kernels,
                                                           ThreadPool& pool, const EmbedderOptions& options,
                                                           std::shared_ptr<WeightBinder> binder) {
  const ModelConfig& config = model.config();
  EmbedderLimits limits;
  limits.vocab = static_cast<int>(config.vocab);
  limits.max_text_tokens =
      static_cast<int>(options.context > 0 ? std::min(options.context, config.max_input) : config.max_input);
  limits.max_batch_tokens = static_cast<int>(options.max_batch_tokens);
  limits.max_texts = static_cast<int>(options.max_texts);
  limits.n_token_types = static_cast<int>(config.n_token_types);
  limits.embeds = config.kind != ModelKind::kRanks;
  limits.scores = config.kind == ModelKind::kRanks;
  limits.dim = static_cast<int>(config.embedding_dim);
  limits.n_labels = static_cast<int>(config.n_labels);

  RETURN_IF_ERROR(check_weight_types(model.graph(), kernels));
  Result<Graph> lowered = lower_for_embedding(model.graph(), kernels);
  if (!lowered.ok()) return lowered.status().with_context(model.name());
  SymbolValues maxima;
  maxima[Symbol::kTokens] = std::max(limits.max_text_tokens, limits.max_batch_tokens);
  maxima[Symbol::kOutputs] = maxima[Symbol::kTokens];
  maxima[Symbol::kSequences] = limits.max_texts;
  if (binder == nullptr) {
    binder = std::make_shared<WeightBinder>(model.weights(), pool);
    use_cached_weights(model.checkpoint(), *lowered, kernels, *binder, pool, options.packed_cache);
  }
  ASSIGN_OR_RETURN(std::shared_ptr<const Plan> plan, Plan::make(*lowered, kernels, *binder, maxima));
  binder->release_sources();
  return std::unique_ptr<ModelEmbedder>(new ModelEmbedder(std::move(binder), std::move(plan), pool, limits, config));
}

ModelEmbedder::ModelEmbedder(std::shared_ptr<WeightBinder> binder, std::shared_ptr<const Plan> plan, ThreadPool& pool,
                             const EmbedderLimits& limits, const ModelConfig& config)
    : binder_(std::move(binder)),
      context_(std::move(plan), pool),
      limits_(limits),
      padding_id_(config.padding_id),
      short_context_(config.short_context) {}

void ModelEmbedder::add(const TextTokens& text) {
  const auto n = static_cast<int32_t>(text.ids.size());
  ids_.insert(ids_.end(), text.ids.begin(), text.ids.end());
  if (text.token_types.empty()) {
    token_types_.insert(token_types_.end(), text.ids.size(), 0);
  } else {
    token_types_.insert(token_types_.end(), text.token_types.begin(), text.token_types.end());
  }
  int32_t next = padding_id_ + 1;  // 0 for models whose positions do not count from a padding token
  for (int32_t i = 0; i < n; ++i) {
    const bool padding = padding_id_ >= 0 && text.ids[static_cast<size_t>(i)] == padding_id_;
    positions_.push_back(padding ? padding_id_ : next++);
  }
  long_rope_.insert(long_rope_.end(), text.ids.size(), short_context_ > 0 && n > short_context_ ? 1 : 0);
  query_begin_.push_back(query_begin_.back() + n);
  context_len_.push_back(n);
}

Status ModelEmbedder::run(std::span<const TextTokens> texts) {
  ids_.clear();
  positions_.clear();
  token_types_.clear();
  long_rope_.clear();
  context_len_.clear();
  query_begin_.assign(1, 0);
  for (const TextTokens& text : texts) add(text);
  if (static_cast<int64_t>(ids_.size()) > context_.plan().maxima()[Symbol::kTokens] ||
      texts.size() > static_cast<size_t>(limits_.max_texts)) {
    return internal_error("a step larger than the embedder's limits");
  }
  output_rows_.resize(ids_.size());
  std::iota(output_rows_.begin(), output_rows_.end(), 0);
  Batch batch;
  batch.ids = ids_;
  batch.positions = positions_;
  batch.token_types = token_types_;
  batch.long_rope = long_rope_;
  batch.query_begin = query_begin_;
  batch.context_len = context_len_;
  batch.output_rows = output_rows_;
  context_.run(batch);
  return ok_status();
}

std::span<const float> ModelEmbedder::rows(TextOutput output) {
  switch (output) {
    case TextOutput::kMean:
      return context_.output("mean");
    case TextOutput::kFirst:
      return context_.output("cls");
    case TextOutput::kLast:
      return context_.output("last");
    case TextOutput::kPooler:
      return context_.output("pooler");
    case TextOutput::kScore:
      return context_.output("score");
  }
  return {};
}

}  // namespace strata
