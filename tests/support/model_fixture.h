// What tests of whole models share: a model built and planned on one kernel table, a paged cache, and a plain way to
// run sequences through it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "compute/graph/passes/pipeline.h"
#include "compute/graph/plan/context.h"
#include "model/arch/architecture.h"
#include "model/checkpoint_weights.h"

namespace strata::test {

// One chunk of one sequence: tokens [begin, end) of `ids`, logits wanted for the last `outputs` of them.
struct Chunk {
  int sequence = 0;
  int64_t begin = 0;
  int64_t end = 0;
  int64_t outputs = 1;
  int adapter = -1;
};

// Owns what one Batch borrows. Sequence s has the blocks s * blocks_per_sequence + 1 ... in its table.
class BatchBuilder {
 public:
  explicit BatchBuilder(int64_t blocks_per_sequence) : blocks_(blocks_per_sequence) {}

  // `outgrown`: the sequence is longer than the model's short context.
  void add(const std::vector<int32_t>& ids, const Chunk& c, bool outgrown = false) {
    if (query_begin_.empty()) query_begin_.push_back(0);
    for (int64_t p = c.begin; p < c.end; ++p) {
      const int64_t block = static_cast<int64_t>(c.sequence) * blocks_ + p / kBlockTokens;
      if (p >= c.end - c.outputs) output_rows_.push_back(static_cast<int32_t>(ids_.size()));
      ids_.push_back(ids[static_cast<size_t>(p)]);
      positions_.push_back(static_cast<int32_t>(p));
      slots_.push_back(block * kBlockTokens + p % kBlockTokens);
      adapters_.push_back(c.adapter);
      long_rope_.push_back(outgrown ? 1 : 0);
    }
    query_begin_.push_back(static_cast<int32_t>(ids_.size()));
    context_.push_back(static_cast<int32_t>(c.end));
    for (int64_t b = 0; b < blocks_; ++b) table_.push_back(static_cast<int32_t>(c.sequence * blocks_ + b));
  }

  // What Chunk::adapter is an index of.
  void set_adapters(std::vector<const AdapterWeights*> weights) { adapter_weights_ = std::move(weights); }

  Batch batch() const {
    Batch b;
    b.adapter_weights = adapter_weights_;
    b.ids = ids_;
    b.positions = positions_;
    b.slots = slots_;
    b.query_begin = query_begin_;
    b.context_len = context_;
    b.block_table = table_;
    b.block_table_stride = blocks_;
    b.output_rows = output_rows_;
    b.adapters = adapters_;
    b.long_rope = long_rope_;
    return b;
  }

 private:
  int64_t blocks_;
  std::vector<int32_t> ids_, positions_, query_begin_, context_, table_, output_rows_, adapters_, long_rope_;
  std::vector<const AdapterWeights*> adapter_weights_;
  std::vector<int64_t> slots_;
};

inline SymbolValues maxima(int64_t tokens) {
  SymbolValues values;
  values[Symbol::kTokens] = tokens;
  values[Symbol::kOutputs] = tokens;
  values[Symbol::kSequences] = tokens;
  return values;
}

// Cache memory for the states of a plan, given to a context.
class CacheMemory {
 public:
  CacheMemory(ExecutionContext& context, int64_t n_blocks) {
    const auto& states = context.plan().states();
    for (size_t i = 0; i < states.size(); ++i) {
      buffers_.emplace_back(states[i].shape.block_bytes() * static_cast<size_t>(n_blocks));
      context.set_state(static_cast<int>(i), buffers_.back().data());
    }
  }

 private:
  std::vector<AlignedBuffer> buffers_;
};

struct RunOptions {
  std::string isa = "reference";
  DType cache = DType::kF32;
  int threads = 1;
  int64_t max_tokens = 128;
  int64_t sequences = 4;
  int64_t blocks_per_sequence = 16;
};

class ModelFixture {
 public:
  // Fails the test when the model cannot be loaded; ok() says so.
  ModelFixture(const std::filesystem::path& path, RunOptions options) : options_(options), pool_(options.threads) {
    Result<Checkpoint> checkpoint = Checkpoint::open(path);
    if (!checkpoint.ok()) {
      ADD_FAILURE() << checkpoint.status().message();
      return;
    }
    checkpoint_ = std::make_unique<Checkpoint>(std::move(*checkpoint));
    Result<BuiltModel> built = build_model(*checkpoint_);
    if (!built.ok()) {
      ADD_FAILURE() << built.status().message();
      return;
    }
    config_ = built->config;
    graph_ = std::move(built->graph);
    weights_ = std::make_unique<CheckpointWeights>(*checkpoint_);
    const CpuKernels* kernels = find_cpu_kernels(options.isa);
    binder_ = std::make_unique<WeightBinder>(*weights_, pool_);
    use(lower_for_inference(graph_, *kernels, options.cache));
  }

  bool ok() const { return context_ != nullptr; }
  const Graph& graph() const { return graph_; }
  const CpuKernels& kernels() const { return *find_cpu_kernels(options_.isa); }
  const ModelConfig& config() const { return config_; }
  const Checkpoint& checkpoint() const { return *checkpoint_; }
  WeightBinder& binder() { return *binder_; }
  ThreadPool& pool() { return pool_; }
  ExecutionContext& context() { return *context_; }

  // Replaces the plan by one of another lowered graph, with a fresh cache.
  void use(const Graph& lowered) {
    Result<std::shared_ptr<const Plan>> plan = Plan::make(lowered, kernels(), *binder_, maxima(options_.max_tokens));
    if (!plan.ok()) {
      ADD_FAILURE() << plan.status().message();
      return;
    }
    context_ = std::make_unique<ExecutionContext>(*plan, pool_);
    cache_ = std::make_unique<CacheMemory>(*context_, options_.sequences * options_.blocks_per_sequence);
  }

  // Runs chunks of sequences in one step; logits [O, vocab].
  std::vector<float> step(const std::vector<std::pair<const std::vector<int32_t>*, Chunk>>& chunks) {
    BatchBuilder builder(options_.blocks_per_sequence);
    for (const auto& [ids, chunk] : chunks) builder.add(*ids, chunk, is_outgrown(*ids));
    context_->run(builder.batch());
    const std::span<float> logits = context_->output("logits");
    return {logits.begin(), logits.end()};
  }

  std::vector<float> prefill(const std::vector<int32_t>& ids, int64_t outputs = 1, int sequence = 0, int adapter = -1) {
    return step({{&ids, {sequence, 0, static_cast<int64_t>(ids.size()), outputs, adapter}}});
  }

  std::vector<int32_t> greedy(std::vector<int32_t> ids, int64_t n, int sequence = 0) {
    std::vector<float> logits = prefill(ids, 1, sequence);
    std::vector<int32_t> out;
    for (int64_t i = 0; i < n; ++i) {
      out.push_back(static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin()));
      ids.push_back(out.back());
      const auto size = static_cast<int64_t>(ids.size());
      const bool anew = is_outgrown(ids) && size == config_.short_context + 1;  // other frequencies from now on
      if (i + 1 < n) logits = anew ? prefill(ids, 1, sequence) : step({{&ids, {sequence, size - 1, size, 1}}});
    }
    return out;
  }

  bool is_outgrown(const std::vector<int32_t>& ids) const {
    return config_.short_context > 0 && static_cast<int64_t>(ids.size()) > config_.short_context;
  }

 private:
  RunOptions options_;
  ThreadPool pool_;
  std::unique_ptr<Checkpoint> checkpoint_;
  std::unique_ptr<CheckpointWeights> weights_;
  std::unique_ptr<WeightBinder> binder_;
  ModelConfig config_;
  Graph graph_;
  std::unique_ptr<ExecutionContext> context_;
  std::unique_ptr<CacheMemory> cache_;
};

}  // namespace strata::test
