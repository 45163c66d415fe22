// One draw from a row of 150,000 logits, for common settings. Prints microseconds per token.
#include <benchmark/benchmark.h>

#include "engine/sampler.h"

namespace strata {
namespace {

constexpr int kVocab = 150000;

// Bell-shaped with a few likely tokens, as language models give them.
std::vector<float> likely_logits() {
  std::vector<float> logits;
  uint32_t state = 7;
  for (int i = 0; i < kVocab; ++i) {
    float sum = 0;
    for (int j = 0; j < 6; ++j) {
      state = state * 1664525 + 1013904223;
      sum += static_cast<float>(state >> 8) * 0x1p-24f - 0.5f;
    }
    logits.push_back(sum * 3);
  }
  for (int i = 0; i < 40; ++i) logits[static_cast<size_t>(i * 3701)] += 12 - 0.2f * static_cast<float>(i);
  return logits;
}

void draw(benchmark::State& state, const SamplingParams& params) {
  const auto logits = likely_logits();
  Sampler sampler;
  SampleInput input;
  input.logits = logits;
  input.params = &params;
  for (auto step : state) {
    (void)step;
    benchmark::DoNotOptimize(sampler.sample(input));
    ++input.position;
  }
}

void logprobs(benchmark::State& state) {
  const auto logits = likely_logits();
  Sampler sampler;
  for (auto step : state) {
    (void)step;
    benchmark::DoNotOptimize(sampler.logprobs(logits, 3701, 5));
  }
}

SamplingParams with(float temperature, int top_k, float top_p, float min_p) {
  SamplingParams params;
  params.temperature = temperature;
  params.top_k = top_k;
  params.top_p = top_p;
  params.min_p = min_p;
  return params;
}

BENCHMARK_CAPTURE(draw, greedy, with(0, 0, 1, 0))->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(draw, temperature, with(0.8f, 0, 1, 0))->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(draw, top_k_40, with(0.8f, 40, 1, 0))->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(draw, top_k_40_top_p_95, with(0.8f, 40, 0.95f, 0.05f))->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(draw, top_p_95, with(0.8f, 0, 0.95f, 0))->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(draw, top_p_95_hot, with(2.0f, 0, 0.95f, 0))->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(draw, min_p_05, with(0.8f, 0, 1, 0.05f))->Unit(benchmark::kMicrosecond);
BENCHMARK(logprobs)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace strata

BENCHMARK_MAIN();
