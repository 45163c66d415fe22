#include "cli/served_model.h"

#include <fmt/format.h>

#include <chrono>

#include "base/log.h"
#include "cli/adapters.h"
#include "cli/runtime.h"
#include "engine/model_embedder.h"
#include "model/adapter.h"

namespace strata::cli {
namespace {

std::vector<std::string> split_names(const std::string& text) {
  std::vector<std::string> names;
  size_t begin = 0;
  while (begin <= text.size()) {
    const size_t end = std::min(text.find(',', begin), text.size());
    if (end > begin) names.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return names;
}

TextOutput output_of(Pooling pooling) {
  if (pooling == Pooling::kMean) return TextOutput::kMean;
  return pooling == Pooling::kFirst ? TextOutput::kFirst : TextOutput::kLast;
}

int64_t seconds_since_1970() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

Result<std::unique_ptr<ServedModel>> ServedModel::load(const ServeContext& context, const std::string& path) {
  const TimePoint start = steady_clock().now();
  auto served = std::unique_ptr<ServedModel>(new ServedModel());
  ASSIGN_OR_RETURN(served->model_, Model::load(path, context.width));
  RETURN_IF_ERROR(require_tokenizer(*served->model_).status());
  // Packing uses the compute threads: the models that are served already wait for them as for a step.
  StepGate::Member member(context.gate);
  const StepGate::Turn turn = member.enter();
  served->names_ = split_names(context.names);
  if (served->names_.empty()) served->names_ = {served->model_->name()};
  std::shared_ptr<WeightBinder> binder;
  if (served->model_->config().kind == ModelKind::kGenerates) RETURN_IF_ERROR(served->start_engine(context, binder));
  // Embeddings would need the streamed weights in another order, at the same time.
  const bool streams = context.settings.weights_memory > 0;
  const Status status = streams ? invalid_argument(served->names_.front() + ": --weights-memory is for generating")
                                : served->start_embedding_engine(context, std::move(binder));
  if (!status.ok() && served->engine_ == nullptr) return status;
  if (!status.ok()) log_info("no embeddings: " + status.message());
  log_info(fmt::format("{}: ready after {:.2f} s with {} kernels and {} threads", served->names_.front(),
                       to_seconds(steady_clock().now() - start), context.kernels.name, context.pool.n_threads()));
  return served;
}

Status ServedModel::start_engine(const ServeContext& context, std::shared_ptr<WeightBinder>& binder) {
  ASSIGN_OR_RETURN(RunnerOptions options, runner_options(context.settings, model_->graph(), context.kernels));
  options.kv_bytes = context.kv_bytes;
  if (!context.takes_adapters && context.settings.max_adapters == 0) options.max_adapter_rank = 0;
  ASSIGN_OR_RETURN(std::unique_ptr<ModelRunner> runner,
                   ModelRunner::make(*model_, context.kernels, context.pool, options));
  log_info(fmt::format(
      "{}: {} MiB of weights packed, cache for {} tokens in {} MiB", names_.front(), runner->weight_bytes() >> 20,
      static_cast<int64_t>(runner->limits().n_blocks) * runner->limits().block_tokens, runner->cache_bytes() >> 20));
  log_debug(runner->plan().summary());
  binder = runner->binder();
  RETURN_IF_ERROR(load_adapters(context, *runner));
  EngineOptions engine;
  engine.max_batch_tokens = context.settings.max_batch_tokens;
  engine.prefill_chunk = context.settings.prefill_chunk;
  engine.target_itl = std::chrono::milliseconds(context.settings.target_itl_ms);
  engine.admission.max_queue = std::chrono::milliseconds(context.settings.max_queue_ms);
  engine.admission.max_ttft = std::chrono::milliseconds(context.settings.max_ttft_ms);
  engine.admission.max_waiting = context.settings.max_waiting;
  metrics_ = std::make_unique<api::EngineMetrics>(context.metrics, names_.front());
  engine_ = std::make_unique<Engine>(std::move(runner), *model_->tokenizer(), engine, steady_clock(), metrics_.get(),
                                     &context.gate);
  metrics_->attach(*engine_);
  return ok_status();
}

Status ServedModel::load_adapters(const ServeContext& context, const ModelRunner& runner) {
  adapter_places_ = runner.adapter_places();
  max_adapters_ = static_cast<size_t>(context.settings.max_adapters);
  if (!context.takes_adapters) return ok_status();
  ASSIGN_OR_RETURN(const std::vector<AdapterFolder> list, adapter_folders(context.settings));
  if (max_adapters_ > 0 && list.size() > max_adapters_) {
    return invalid_argument(fmt::format("--adapter: {} adapters, --max-adapters allows {}", list.size(), max_adapters_));
  }
  for (const AdapterFolder& adapter : list) {
    ASSIGN_OR_RETURN(AdapterRef weights, load_adapter(adapter.folder, adapter_places_, model_->checkpoint()));
    log_info(fmt::format("{}: adapter {}, {} MiB", names_.front(), adapter.name, weights->memory.size() >> 20));
    adapters_.push_back({adapter.name, adapter.folder, std::move(weights), seconds_since_1970()});
  }
  return ok_status();
}

Status ServedModel::start_embedding_engine(const ServeContext& context, std::shared_ptr<WeightBinder> binder) {
  EmbedderOptions options;
  options.context = context.settings.context;
  options.max_batch_tokens = context.settings.max_batch_tokens;
  options.packed_cache = packed_cache_options(context.settings);
  ASSIGN_OR_RETURN(std::unique_ptr<ModelEmbedder> embedder,
                   ModelEmbedder::make(*model_, context.kernels, context.pool, options, std::move(binder)));
  if (engine_ == nullptr) {
    log_info(fmt::format("{}: {} MiB of weights packed, texts of up to {} tokens", names_.front(),
                         embedder->weight_bytes() >> 20, embedder->limits().max_text_tokens));
  }
  EmbeddingOptions engine;
  engine.max_batch_tokens = context.settings.max_batch_tokens;
  embedding_metrics_ = std::make_unique<api::EmbeddingMetrics>(context.metrics, names_.front(), engine_ == nullptr);
  embedding_engine_ = std::make_unique<EmbeddingEngine>(std::move(embedder), engine, steady_clock(),
                                                        embedding_metrics_.get(), &context.gate);
  embedding_metrics_->attach(*embedding_engine_);
  return ok_status();
}

// Readings of an engine end before it does.
ServedModel::~ServedModel() {
  if (metrics_ != nullptr) metrics_->detach();
  if (embedding_metrics_ != nullptr) embedding_metrics_->detach();
}

api::ModelHost ServedModel::host() const {
  api::ModelHost host;
  host.names = names_;
  host.engine = engine_.get();
  host.embedding_engine = embedding_engine_.get();
  const ModelConfig& config = model_->config();
  host.embedding = {output_of(config.pooling), config.normalize, config.may_shorten, config.short_dims};
  host.tokenizer = model_->tokenizer();
  host.chat_template = model_->chat_template();
  const GenerationDefaults& defaults = model_->generation();
  host.defaults.temperature = defaults.temperature.value_or(1);
  host.defaults.top_p = defaults.top_p.value_or(1);
  host.defaults.top_k = defaults.top_k.value_or(0);
  host.defaults.min_p = defaults.min_p.value_or(0);
  host.defaults.repetition_penalty = defaults.repetition_penalty.value_or(1);
  host.created = seconds_since_1970();
  host.adapters = adapters_;
  host.max_adapters = max_adapters_;
  if (max_adapters_ > 0 && engine_ != nullptr) {
    host.load_adapter = [this](const std::string& folder) {
      return load_adapter(folder, adapter_places_, model_->checkpoint());
    };
  }
  return host;
}

}  // namespace strata::cli
