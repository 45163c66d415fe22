// What a step costs without the model: 64 sequences in decode, from schedule to events. Prints microseconds per step.
#include <benchmark/benchmark.h>

#include "engine/step_loop.h"

namespace strata {
namespace {

constexpr int kSequences = 64;

// Gives the same random logits in every step at no cost.
class FreeRunner final : public Runner {
 public:
  explicit FreeRunner(int vocab) {
    limits_.vocab = vocab;
    limits_.max_context = 1 << 20;
    limits_.max_batch_tokens = 1024;
    limits_.max_sequences = kSequences;
    limits_.max_outputs = kSequences;
    limits_.n_blocks = kSequences * 1024;
    limits_.block_tokens = 16;
    uint32_t state = 1;
    for (int i = 0; i < vocab * kSequences; ++i) {
      state = state * 1664525 + 1013904223;
      logits_.push_back(static_cast<float>(state >> 8) * 0x1p-24f * 20 - 10);
    }
  }
  const RunnerLimits& limits() const override { return limits_; }
  Result<std::span<const float>> run(const Batch& batch) override {
    return std::span<const float>(logits_).first(batch.output_rows.size() * static_cast<size_t>(limits_.vocab));
  }
  void copy_block(int, int) override {}
  void clear_block(int) override {}

 private:
  RunnerLimits limits_;
  std::vector<float> logits_;
};

class LetterTokenizer final : public Tokenizer {
 public:
  std::vector<TokenId> encode(std::string_view, const EncodeOptions&) const override { return {}; }
  std::string_view piece(TokenId, bool) const override { return " word"; }
  std::string decode(const std::vector<TokenId>&, bool) const override { return {}; }
  int vocab_size() const override { return 512; }
  bool is_special(TokenId) const override { return false; }
  std::optional<TokenId> find(std::string_view) const override { return std::nullopt; }
  std::optional<TokenId> bos() const override { return std::nullopt; }
  std::optional<TokenId> eos() const override { return std::nullopt; }
  std::vector<TokenId> end_of_generation() const override { return {}; }
};

// Arguments: vocabulary, percent of temperature, tokens of context at the start.
void decode_step(benchmark::State& state) {
  FreeRunner runner(static_cast<int>(state.range(0)));
  const LetterTokenizer tokenizer;
  EngineCounters counters;
  StepLoop loop(runner, tokenizer, {}, steady_clock(), counters, nullptr, nullptr);
  size_t events = 0;
  for (uint64_t handle = 1; handle <= kSequences; ++handle) {
    Request request;
    request.prompt.assign(static_cast<size_t>(state.range(2)), 1);
    request.prompt[0] = static_cast<TokenId>(handle);
    request.max_tokens = 1 << 19;
    request.sampling.temperature = static_cast<float>(state.range(1)) / 100;
    request.stop = {"\n\n", "User:"};
    loop.add({handle, request, [&](Event&& event) { events += event.tokens.size(); }, steady_clock().now()});
  }
  // Until every prompt is computed and a step is 64 decodes.
  size_t before = 0;
  do {
    before = events;
    loop.step();
  } while (events - before < kSequences);
  for (auto step : state) {
    (void)step;
    loop.step();
  }
  state.counters["tokens/step"] = static_cast<double>(kSequences);
}
BENCHMARK(decode_step)
    ->ArgNames({"vocab", "temp%", "context"})
    ->Args({512, 0, 32})
    ->Args({512, 0, 4096})
    ->Args({512, 80, 32})
    ->Args({32000, 0, 32})
    ->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace strata

BENCHMARK_MAIN();
