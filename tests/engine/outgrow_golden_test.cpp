// A real model with two sets of rotary frequencies under the real scheduler: a sequence that grows beyond its short
// context goes on as if it had been computed with the long ones from the beginning, whoever runs beside it.
#include <gtest/gtest.h>

#include "base/thread_pool.h"
#include "engine/model_runner.h"
#include "engine/scheduler.h"
#include "engine/step_batch.h"
#include "support/model_fixture.h"
#include "test_data.h"

namespace strata {
namespace {

constexpr const char* kModel = "golden-arch/phi3-longrope";

TokenId most_likely(std::span<const float> logits) {
  return static_cast<TokenId>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

std::vector<TokenId> prompt_of(int length) {
  std::vector<TokenId> ids;
  for (int i = 0; i < length; ++i) ids.push_back((i * 37 + length * 101 + 5) % 384);
  return ids;
}

// Every token from a forward pass over all before it, without a cache.
std::vector<TokenId> greedy_from_scratch(test::ModelFixture& model, std::vector<TokenId> ids, int n) {
  for (int i = 0; i < n; ++i) ids.push_back(most_likely(model.prefill(ids)));
  return ids;
}

struct Load {
  int prompt;
  int new_tokens;
};

// All of them together, greedily; the tokens of each at its end.
std::vector<std::vector<TokenId>> run_together(ModelRunner& runner, const std::vector<Load>& loads) {
  const RunnerLimits& limits = runner.limits();
  SchedulerOptions options;
  options.n_blocks = 24;  // not enough for all: some are preempted
  options.max_batch_tokens = limits.max_batch_tokens;
  options.short_context = limits.short_context;
  Scheduler scheduler(options);
  StepBatch batch(options.block_tokens);
  StepPlan plan;
  std::vector<std::vector<TokenId>> done(loads.size());
  for (size_t i = 0; i < loads.size(); ++i) {
    SequenceSpec spec;
    spec.rank.arrival = i;
    spec.prompt = prompt_of(loads[i].prompt);
    scheduler.add(spec);
  }
  for (int steps = 0; !scheduler.empty() && steps < 10000; ++steps) {
    scheduler.schedule({}, plan);
    for (const BlockOp& op : plan.block_ops) op.from < 0 ? runner.clear_block(op.to) : runner.copy_block(op.from, op.to);
    const auto logits = runner.run(batch.build(plan));
    if (!logits.ok()) break;
    scheduler.commit(plan);
    size_t row = 0;
    for (const StepEntry& entry : plan.entries) {
      if (!entry.samples) continue;
      const auto vocab = static_cast<size_t>(limits.vocab);
      const size_t i = entry.sequence->rank.arrival;
      scheduler.append(*entry.sequence, most_likely(logits->subspan(vocab * row++, vocab)));
      if (entry.sequence->length() < loads[i].prompt + loads[i].new_tokens) continue;
      done[i] = entry.sequence->tokens;
      scheduler.finish(*entry.sequence);
    }
  }
  return done;
}

TEST(Outgrow, SequencesGoOnWithTheLongFrequencies) {
  STRATA_REQUIRE_DATA(kModel);
  test::RunOptions fixture_options;
  fixture_options.isa = find_cpu_kernels()->name;
  test::ModelFixture fixture(test::shared_data() / kModel, fixture_options);
  ASSERT_TRUE(fixture.ok());
  ASSERT_EQ(fixture.config().short_context, 64);
  const Result<std::unique_ptr<Model>> model = Model::load(test::shared_data() / kModel);
  ASSERT_TRUE(model.ok()) << model.status().message();
  ThreadPool pool(2);
  RunnerOptions options;
  options.cache_type = DType::kF32;
  options.max_batch_tokens = 32;
  const auto runner = ModelRunner::make(**model, *find_cpu_kernels(), pool, options);
  ASSERT_TRUE(runner.ok()) << runner.status().message();

  const std::vector<Load> loads = {{50, 30}, {64, 3}, {63, 4}, {65, 8}, {20, 60}, {50, 20}};
  const std::vector<std::vector<TokenId>> together = run_together(**runner, loads);
  bool differs = false;
  for (size_t i = 0; i < loads.size(); ++i) {
    EXPECT_EQ(together[i], greedy_from_scratch(fixture, prompt_of(loads[i].prompt), loads[i].new_tokens)) << i;
    // With short factors for ever it would be another text.
    test::BatchBuilder builder(16);
    builder.add(together[i], {0, 0, static_cast<int64_t>(together[i].size()) - 1, 1});
    fixture.context().run(builder.batch());
    differs |= most_likely(fixture.context().output("logits")) != together[i].back();
  }
  EXPECT_TRUE(differs);
}

}  // namespace
}  // namespace strata
