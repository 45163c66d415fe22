#include "engine/model_runner.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "base/check.h"
#include "base/free_memory.h"
#include "compute/graph/matmul_nodes.h"
#include "compute/graph/op.h"
#include "compute/graph/passes/keep_expert_groups.h"
#include "compute/graph/passes/keep_matmul_inputs.h"
#include "compute/graph/passes/pipeline.h"
#include "compute/graph/plan/steps.h"
#include "engine/weights_memory.h"

namespace strata {
namespace {

size_t bytes_per_block(const Plan& plan) {
  size_t bytes = 0;
  for (const PlanState& state : plan.states()) bytes += state.shape.block_bytes();
  return bytes;
}

SymbolValues maxima_of(const RunnerLimits& limits) {
  SymbolValues maxima;
  maxima[Symbol::kTokens] = limits.max_batch_tokens;
  maxima[Symbol::kOutputs] = limits.max_outputs;
  maxima[Symbol::kSequences] = limits.max_sequences;
  return maxima;
}

// All that the sequences of a step could fill: more are never used.
size_t useful_blocks(const RunnerLimits& limits) {
  return static_cast<size_t>((limits.max_context + kBlockTokens - 1) / kBlockTokens + 1) *
         static_cast<size_t>(limits.max_sequences);
}

// The arithmetic ids of all matmuls, once each, and the cache type.
std::string arithmetic_of(const Graph& graph, const CpuKernels& kernels, DType cache_type) {
  std::set<std::string> ids;
  for (const Node& node : graph.nodes()) {
    if (!is_matmul(node)) continue;
    const TensorType& weight = graph.type(node.inputs[1]);
    ids.insert(std::string(family_for(kernels, weight.dtype, weight.last().factor).arithmetic));
  }
  std::string text;
  for (const std::string& id : ids) text += id + "+";
  const bool in_pairs = kernels.attends_in_bfloat && cache_type != DType::kF32 && cache_type != DType::kF16;
  return text + std::string(name(cache_type)) + (in_pairs ? ".pairs" : "");
}

// Lets the system give the pages of memory that nobody else uses meanwhile; what it holds stays.
void touch(std::byte* begin, size_t bytes) {
  constexpr size_t kPage = 4096;
  volatile std::byte* memory = begin;
  for (size_t at = 0; at < bytes; at += kPage) memory[at] = memory[at];
}

}  // namespace

Status check_weight_types(const Graph& graph, const CpuKernels& kernels) {
  for (const Node& node : graph.nodes()) {
    if (!is_matmul(node)) continue;
    const Node& weight = graph.node(node.inputs[1]);
    const TensorType& type = weight.outputs[0];
    if (matmul_family(kernels, type.dtype, type.last().factor) == nullptr) {
      return invalid_argument("tensor " + weight.name + ": type " + std::string(name(type.dtype)) +
                              " cannot be multiplied by the " + std::string(kernels.name) +
                              " kernels (convert the model with strata quantize)");
    }
  }
  return ok_status();
}

Result<std::unique_ptr<ModelRunner>> ModelRunner::make(const Model& model, const CpuKernels& kernels, ThreadPool& pool,
                                                       const RunnerOptions& options) {
  if (model.config().kind != ModelKind::kGenerates) {
    return invalid_argument(model.name() + ": " + std::string(model.config().architecture) +
                            " generates no text (it is for strata logits and, served, /v1/embeddings or /v1/rerank)");
  }
  RunnerLimits limits;
  limits.vocab = static_cast<int>(model.config().vocab);
  limits.max_context = static_cast<int>(options.context > 0 ? std::min(options.context, model.config().max_context)
                                                            : model.config().max_context);
  limits.short_context = static_cast<int>(model.config().short_context);
  limits.max_batch_tokens = static_cast<int>(options.max_batch_tokens);
  limits.max_sequences = static_cast<int>(options.max_sequences);
  limits.max_outputs = static_cast<int>(std::min(options.max_outputs, options.max_batch_tokens));
  limits.block_tokens = kBlockTokens;

  RETURN_IF_ERROR(check_weight_types(model.graph(), kernels));
  GraphWithAdapters adapted{model.graph(), {}};
  if (options.max_adapter_rank > 0) adapted = add_adapters(model.graph(), options.max_adapter_rank);
  const Graph counted = keep_expert_groups(adapted.graph);
  Graph lowered = lower_for_inference(options.keep_matmul_inputs ? keep_matmul_inputs(counted) : counted, kernels,
                                      options.cache_type);
  auto binder = std::make_shared<WeightBinder>(model.weights(), pool);
  uint64_t buffer_bytes = 0;
  if (options.weights_memory > 0) {
    ASSIGN_OR_RETURN(buffer_bytes, fit_weights(model.checkpoint(), lowered, kernels, *binder, pool,
                                               options.packed_cache, options.weights_memory));
  } else {
    use_cached_weights(model.checkpoint(), lowered, kernels, *binder, pool, options.packed_cache);
  }
  ASSIGN_OR_RETURN(std::shared_ptr<const Plan> plan, Plan::make(lowered, kernels, *binder, maxima_of(limits)));
  binder->release_sources();

  const size_t block_bytes = bytes_per_block(*plan);
  const size_t blocks = options.kv_bytes / std::max<size_t>(1, block_bytes);
  limits.n_blocks = static_cast<int>(std::min<size_t>({blocks, useful_blocks(limits), size_t{1} << 30}));
  if (limits.n_blocks < 1) {
    return invalid_argument("--kv-bytes: " + std::to_string(options.kv_bytes) +
                            " bytes hold no block of this model's cache (one takes " + std::to_string(block_bytes) +
                            " bytes)");
  }
  std::unique_ptr<WeightStream> stream;
  if (!plan->windows().empty()) {
    ASSIGN_OR_RETURN(stream, WeightStream::make(binder->file(), plan->windows(), buffer_bytes));
  }
  auto runner = std::unique_ptr<ModelRunner>(new ModelRunner(std::move(binder), std::move(plan), pool, limits));
  runner->context_.stream_weights(std::move(stream));
  runner->adapter_places_ = std::move(adapted.places);
  runner->arithmetic_ = arithmetic_of(model.graph(), kernels, options.cache_type);
  return runner;
}

Result<std::unique_ptr<ModelRunner>> ModelRunner::make(const Graph& lowered, WeightBinder& binder,
                                                       const CpuKernels& kernels, ThreadPool& pool,
                                                       RunnerLimits limits) {
  ASSIGN_OR_RETURN(std::shared_ptr<const Plan> plan, Plan::make(lowered, kernels, binder, maxima_of(limits)));
  limits.block_tokens = kBlockTokens;
  limits.n_blocks = static_cast<int>(useful_blocks(limits));
  const std::shared_ptr<WeightBinder> lent(std::shared_ptr<void>(), &binder);  // not owned
  return std::unique_ptr<ModelRunner>(new ModelRunner(lent, std::move(plan), pool, limits));
}

ModelRunner::ModelRunner(std::shared_ptr<WeightBinder> binder, std::shared_ptr<const Plan> plan, ThreadPool& pool,
                         RunnerLimits limits)
    : binder_(std::move(binder)),
      context_(plan, pool),
      limits_(limits),
      cache_(bytes_per_block(*plan) * static_cast<size_t>(limits.n_blocks)),
      weight_bytes_(binder_->bound_bytes()) {
  size_t offset = 0;
  for (size_t state = 0; state < plan->states().size(); ++state) {
    state_offset_.push_back(offset);
    context_.set_state(static_cast<int>(state), cache_.data() + offset);
    offset += plan->states()[state].shape.block_bytes() * static_cast<size_t>(limits.n_blocks);
  }
  find_expert_groups();
  // Where memory is short, only what is used is taken.
  if (cache_.size() <= free_memory().value_or(0) / 2) preparable_blocks_ = limits_.n_blocks;
}

void ModelRunner::find_expert_groups() {
  std::vector<int> n_experts;
  for (int layer = 0;; ++layer) {
    const std::span<const int32_t> begin = context_.output_integers(expert_groups_output(layer));
    if (begin.empty()) break;
    expert_groups_.push_back(begin);
    n_experts.push_back(static_cast<int>(begin.size()) - 1);
  }
  if (!n_experts.empty()) expert_load_ = std::make_unique<ExpertLoad>(n_experts);
}

Result<std::span<const float>> ModelRunner::run(const Batch& batch) {
  if (batch.tokens() > limits_.max_batch_tokens || batch.outputs() > limits_.max_outputs ||
      batch.sequences() > limits_.max_sequences) {
    return internal_error("a step larger than the runner's limits");
  }
  context_.run(batch);
  if (!context_.status().ok()) return context_.status();
  for (size_t layer = 0; layer < expert_groups_.size(); ++layer) {
    expert_load_->count(static_cast<int>(layer), expert_groups_[layer]);
  }
  return std::span<const float>(context_.output("logits"));
}

std::byte* ModelRunner::block(size_t state, int index) const {
  return cache_.data() + state_offset_[state] +
         context_.plan().states()[state].shape.block_bytes() * static_cast<size_t>(index);
}

void ModelRunner::copy_block(int from, int to) {
  for (size_t state = 0; state < state_offset_.size(); ++state) {
    std::memcpy(block(state, to), block(state, from), context_.plan().states()[state].shape.block_bytes());
  }
}

void ModelRunner::clear_block(int index) {
  for (size_t state = 0; state < state_offset_.size(); ++state) {
    std::memset(block(state, index), 0, context_.plan().states()[state].shape.block_bytes());
  }
}

// Blocks are given out in ascending order.
bool ModelRunner::prepare() {
  constexpr int kBlocks = 32;
  if (state_offset_.empty() || prepared_blocks_ >= preparable_blocks_) return false;
  const int end = std::min(prepared_blocks_ + kBlocks, preparable_blocks_);
  std::byte* begin = block(prepared_states_, prepared_blocks_);
  touch(begin, static_cast<size_t>(block(prepared_states_, end) - begin));
  if (++prepared_states_ == state_offset_.size()) {
    prepared_states_ = 0;
    prepared_blocks_ = end;
  }
  return true;
}

}  // namespace strata
