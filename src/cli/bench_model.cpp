// bench MODEL: prefill and decode of the bare model (no scheduler, no sampling), each beside the least time that the
// machine's ceilings allow. The ceilings are measured before and after; the better counts.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <numeric>

#include "cli/bench.h"
#include "cli/model_cost.h"
#include "cli/progress.h"
#include "cli/runtime.h"

namespace strata::cli {
namespace {

constexpr int kDecodeSteps = 16;

// Sequences whose context is `context` tokens before the step, each with `tokens` new ones. The cache is not filled:
// the time of a step does not depend on what is in it.
class SteadyBatch {
 public:
  SteadyBatch(int64_t sequences, int64_t context, int64_t tokens, int vocab, bool last_row_only) {
    const int64_t blocks = (context + tokens + kBlockTokens - 1) / kBlockTokens;
    query_begin_.push_back(0);
    for (int64_t s = 0; s < sequences; ++s) {
      for (int64_t t = 0; t < tokens; ++t) {
        const int64_t position = context + t;
        if (!last_row_only || t + 1 == tokens) rows_.push_back(static_cast<int32_t>(ids_.size()));
        ids_.push_back(static_cast<int32_t>((s * 131 + t * 7 + 3) % vocab));
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
  }
  SteadyBatch(const SteadyBatch&) = delete;
  SteadyBatch& operator=(const SteadyBatch&) = delete;
  const Batch& batch() const { return batch_; }

 private:
  std::vector<int32_t> ids_, positions_, query_begin_, context_, table_, rows_;
  std::vector<int64_t> slots_;
  Batch batch_;
};

double matmul_seconds(const ExecutionContext& context) {
  double seconds = 0;
  const Plan& plan = context.plan();
  for (size_t wave = 0; wave < plan.waves().size(); ++wave) {
    const auto& tasks = plan.waves()[wave];
    const bool matmul = std::any_of(tasks.begin(), tasks.end(), [&](const PlanTask& task) {
      const std::string_view op = plan.steps()[task.steps.front()].op;
      return op == "matmul" || op == "expert_matmul";
    });
    if (matmul) seconds += context.wave_seconds()[wave];
  }
  return seconds;
}

struct Prefill {
  int64_t tokens = 0;
  double seconds = 0;
  double matmul_seconds = 0;
};

// A prompt of `tokens` tokens in chunks of the step's budget.
Result<Prefill> run_prefill(ModelRunner& runner, int64_t tokens) {
  Prefill result{tokens, 0, 0};
  runner.context().measure_waves();
  for (int64_t begin = 0; begin < tokens; begin += runner.limits().max_batch_tokens) {
    const int64_t n = std::min<int64_t>(tokens - begin, runner.limits().max_batch_tokens);
    const SteadyBatch batch(1, begin, n, runner.limits().vocab, true);
    const TimePoint start = steady_clock().now();
    ASSIGN_OR_RETURN([[maybe_unused]] const auto logits, runner.run(batch.batch()));
    result.seconds += to_seconds(steady_clock().now() - start);
  }
  result.matmul_seconds = matmul_seconds(runner.context());
  return result;
}

Result<double> run_decode(ModelRunner& runner, int64_t sequences, int64_t context) {
  const SteadyBatch batch(sequences, context, 1, runner.limits().vocab, true);
  double best = 0;
  for (int step = 0; step < kDecodeSteps; ++step) {
    const TimePoint start = steady_clock().now();
    ASSIGN_OR_RETURN([[maybe_unused]] const auto logits, runner.run(batch.batch()));
    best = std::max(best, static_cast<double>(sequences) / to_seconds(steady_clock().now() - start));
  }
  return best;
}

void make_room(RunnerOptions& options) {
  options.max_sequences = 64;
  options.max_outputs = 64;
  options.kv_bytes = std::max(options.kv_bytes, size_t{4} << 30);
}

std::string cell(double value) { return fmt::format("{:.1f}", value); }

}  // namespace

Status bench_model(const Settings& settings, const std::string& path) {
  ASSIGN_OR_RETURN(const std::vector<int64_t> prefills, parse_sizes(settings.prefill_sizes, "--prefill"));
  ASSIGN_OR_RETURN(const std::vector<int64_t> batches, parse_sizes(settings.decode_batches, "--decode-batch"));
  ASSIGN_OR_RETURN(const std::vector<int64_t> contexts, parse_sizes(settings.contexts, "--context"));
  const TimePoint start = steady_clock().now();
  ASSIGN_OR_RETURN(LoadedModel loaded, load_model(settings, path, make_room));
  const double load_s = to_seconds(steady_clock().now() - start);
  ModelRunner& runner = *loaded.runner;
  ASSIGN_OR_RETURN(const DType type, cache_type(settings));
  const ModelCost cost = model_cost(loaded.model->graph(), type);
  std::vector<Ceilings> ceilings = measure_ceilings(*loaded.kernels, loaded.pool->n_threads());

  Progress progress("bench", static_cast<double>(settings.repeat) *
                                 static_cast<double>(prefills.size() + batches.size() * contexts.size()));
  double done = 0;
  std::vector<Prefill> best_prefill;
  for (const int64_t tokens : prefills) {
    if (tokens < 1 || tokens > runner.limits().max_context) continue;
    Prefill best{tokens, 1e30, 0};
    for (int r = 0; r < settings.repeat; ++r) {
      ASSIGN_OR_RETURN(const Prefill run, run_prefill(runner, tokens));
      if (run.seconds < best.seconds) best = run;
      progress.update(++done);
    }
    best_prefill.push_back(best);
  }
  struct Decode {
    int64_t batch, context;
    double tok_s;
  };
  std::vector<Decode> best_decode;
  for (const int64_t context : contexts) {
    for (const int64_t batch : batches) {
      const int64_t blocks = batch * ((context + kBlockTokens) / kBlockTokens);
      if (batch < 1 || batch > runner.limits().max_sequences || context >= runner.limits().max_context ||
          blocks > runner.limits().n_blocks)
        continue;
      Decode best{batch, context, 0};
      for (int r = 0; r < settings.repeat; ++r) {
        ASSIGN_OR_RETURN(const double tok_s, run_decode(runner, batch, context));
        best.tok_s = std::max(best.tok_s, tok_s);
        progress.update(++done);
      }
      best_decode.push_back(best);
    }
  }
  for (const Ceilings& row : measure_ceilings(*loaded.kernels, loaded.pool->n_threads())) ceilings.push_back(row);
  const Ceilings peak = best_of(ceilings);

  nlohmann::ordered_json json{{"machine",
                               {{"isa", loaded.kernels->name},
                                {"threads", loaded.pool->n_threads()},
                                {"int8_gops", peak.int8_gops},
                                {"bf16_gops", peak.bf16_gops},
                                {"fp32_gops", peak.fp32_gops},
                                {"read_gbs", peak.read_gbs}}},
                              {"load_s", load_s},
                              {"prefill", nlohmann::ordered_json::array()},
                              {"decode", nlohmann::ordered_json::array()}};
  for (const Prefill& p : best_prefill) {
    const double least = arithmetic_seconds(cost, peak, static_cast<double>(p.tokens), 1);
    json["prefill"].push_back({{"tokens", p.tokens},
                               {"tok_s", static_cast<double>(p.tokens) / p.seconds},
                               {"fraction_of_peak", least / p.seconds},
                               {"matmul_fraction_of_peak", least / p.matmul_seconds}});
  }
  for (const Decode& d : best_decode) {
    json["decode"].push_back({{"batch", d.batch},
                              {"context", d.context},
                              {"tok_s", d.tok_s},
                              {"fraction_of_roof", d.tok_s / decode_roof(cost, peak, static_cast<double>(d.batch),
                                                                         static_cast<double>(d.context))}});
  }
  if (settings.json) {
    std::printf("%s\n", json.dump().c_str());
    return ok_status();
  }
  std::printf("%s, %d threads: int8 %.0f, bf16 %.0f, fp32 %.0f Gop/s, read %.1f GB/s; loaded in %.2f s\n\n",
              std::string(loaded.kernels->name).c_str(), loaded.pool->n_threads(), peak.int8_gops, peak.bf16_gops,
              peak.fp32_gops, peak.read_gbs, load_s);
  std::printf("%10s %12s %12s %16s\n", "prefill", "tokens/s", "of peak", "matmuls of peak");
  for (const auto& p : json["prefill"]) {
    std::printf("%10s %12s %12.2f %16.2f\n", p["tokens"].dump().c_str(), cell(p["tok_s"]).c_str(),
                p["fraction_of_peak"].get<double>(), p["matmul_fraction_of_peak"].get<double>());
  }
  std::printf("\n%10s %10s %12s %12s\n", "decode", "context", "tokens/s", "of roof");
  for (const auto& d : json["decode"]) {
    std::printf("%10s %10s %12s %12.2f\n", d["batch"].dump().c_str(), d["context"].dump().c_str(),
                cell(d["tok_s"]).c_str(), d["fraction_of_roof"].get<double>());
  }
  return ok_status();
}

}  // namespace strata::cli
