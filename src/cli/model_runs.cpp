#include "cli/model_runs.h"

#include <algorithm>
#include <numeric>

#include "compute/graph/passes/keep_expert_groups.h"

namespace strata::cli {
namespace {

constexpr int kDecodeSteps = 16;

// Sequences whose context is `context` tokens before the step, each with `tokens` new ones. Sequence s has the blocks
// from s * decode_blocks(1, context) on. Ids differ from step to step, as experts would be chosen anew.
class SteadyBatch {
 public:
  SteadyBatch(int64_t sequences, int64_t context, int64_t tokens, int vocab, std::span<const AdapterRef> adapters,
              int64_t step = 0) {
    const int64_t blocks = (context + tokens + kBlockTokens - 1) / kBlockTokens;
    query_begin_.push_back(0);
    for (int64_t s = 0; s < sequences; ++s) {
      for (int64_t t = 0; t < tokens; ++t) {
        const int64_t position = context + t;
        if (t + 1 == tokens) rows_.push_back(static_cast<int32_t>(ids_.size()));
        if (!adapters.empty()) adapters_.push_back(static_cast<int32_t>(s % static_cast<int64_t>(adapters.size())));
        ids_.push_back(static_cast<int32_t>((s * 131 + position * 7 + step * 977 + 3) % vocab));
        positions_.push_back(static_cast<int32_t>(position));
        slots_.push_back((s * blocks + position / kBlockTokens) * kBlockTokens + position % kBlockTokens);
      }
      query_begin_.push_back(static_cast<int32_t>(ids_.size()));
      context_.push_back(static_cast<int32_t>(context + tokens));
    }
    table_.resize(static_cast<size_t>(sequences * blocks));
    std::iota(table_.begin(), table_.end(), 0);
    batch_.ids = ids_;
    batch_.positions = positions_;
    batch_.slots = slots_;
    batch_.query_begin = query_begin_;
    batch_.context_len = context_;
    batch_.block_table = table_;
    batch_.block_table_stride = blocks;
    batch_.output_rows = rows_;
    for (const AdapterRef& adapter : adapters) weights_.push_back(adapter.get());
    batch_.adapters = adapters_;
    batch_.adapter_weights = weights_;
  }
  SteadyBatch(const SteadyBatch&) = delete;
  SteadyBatch& operator=(const SteadyBatch&) = delete;
  const Batch& batch() const { return batch_; }

 private:
  std::vector<int32_t> ids_, positions_, query_begin_, context_, table_, rows_, adapters_;
  std::vector<const AdapterWeights*> weights_;
  std::vector<int64_t> slots_;
  Batch batch_;
};

// Waves that multiply by weights, the waiting for their last piece included.
double matmul_seconds(const ExecutionContext& context) {
  double seconds = 0;
  const Plan& plan = context.plan();
  for (size_t wave = 0; wave < plan.waves().size(); ++wave) {
    const auto& tasks = plan.waves()[wave];
    const bool matmul = std::any_of(tasks.begin(), tasks.end(), [&](const PlanTask& task) {
      return std::any_of(task.steps.begin(), task.steps.end(),
                         [&](size_t step) { return is_matmul(plan.steps()[step]); });
    });
    if (matmul) seconds += context.wave_seconds()[wave];
  }
  return seconds;
}

// The share of the experts that the last step used, over all layers; 0 without experts.
double experts_share(ExecutionContext& context) {
  double used = 0;
  double all = 0;
  for (int layer = 0;; ++layer) {
    const std::span<const int32_t> begin = context.output_integers(expert_groups_output(layer));
    if (begin.empty()) break;
    for (size_t e = 0; e + 1 < begin.size(); ++e) used += begin[e + 1] > begin[e] ? 1 : 0;
    all += static_cast<double>(begin.size() - 1);
  }
  return all > 0 ? used / all : 0;
}

}  // namespace

Result<RunTimes> run_prefill(ModelRunner& runner, int64_t tokens, std::span<const AdapterRef> adapters) {
  RunTimes times;
  SymbolValues sizes;
  int chunks = 0;
  runner.context().measure_waves();
  for (int64_t begin = 0; begin < tokens; begin += runner.limits().max_batch_tokens) {
    const int64_t n = std::min<int64_t>(tokens - begin, runner.limits().max_batch_tokens);
    const SteadyBatch batch(1, begin, n, runner.limits().vocab, adapters);
    const TimePoint start = steady_clock().now();
    ASSIGN_OR_RETURN([[maybe_unused]] const auto logits, runner.run(batch.batch()));
    times.seconds += to_seconds(steady_clock().now() - start);
    ++chunks;
  }
  sizes[Symbol::kTokens] = tokens;
  sizes[Symbol::kOutputs] = chunks;
  sizes[Symbol::kSequences] = chunks;
  times.matmul_seconds = matmul_seconds(runner.context());
  times.profile = profile(runner.context(), sizes, chunks, times.seconds);
  return times;
}

int64_t decode_blocks(int64_t sequences, int64_t context) {
  return sequences * ((context + kBlockTokens) / kBlockTokens);
}

Status fill_context(ModelRunner& runner, int64_t sequences, int64_t context) {
  const int64_t blocks = decode_blocks(1, context);
  for (int64_t block = 0; block < blocks; ++block) runner.clear_block(static_cast<int>(block));
  if (context > 0) RETURN_IF_ERROR(run_prefill(runner, context).status());
  for (int64_t s = 1; s < sequences; ++s) {
    for (int64_t block = 0; block < blocks; ++block)
      runner.copy_block(static_cast<int>(block), static_cast<int>(s * blocks + block));
  }
  return ok_status();
}

Result<RunTimes> run_decode(ModelRunner& runner, int64_t sequences, int64_t context,
                            std::span<const AdapterRef> adapters) {
  RunTimes times;
  for (int step = -1; step < kDecodeSteps; ++step) {
    if (step == 0) runner.context().measure_waves();
    const SteadyBatch batch(sequences, context, 1, runner.limits().vocab, adapters, step + 1);
    const TimePoint start = steady_clock().now();
    ASSIGN_OR_RETURN([[maybe_unused]] const auto logits, runner.run(batch.batch()));
    if (step < 0) continue;
    times.seconds += to_seconds(steady_clock().now() - start);
    times.experts_share += experts_share(runner.context()) / kDecodeSteps;
  }
  SymbolValues sizes;
  sizes[Symbol::kTokens] = sizes[Symbol::kOutputs] = sizes[Symbol::kSequences] = sequences * kDecodeSteps;
  times.matmul_seconds = matmul_seconds(runner.context()) / kDecodeSteps;
  times.profile = profile(runner.context(), sizes, kDecodeSteps, times.seconds);
  times.seconds /= kDecodeSteps;
  return times;
}

}  // namespace strata::cli
