// The scheduler without a model, with a fake clock; and with the fake model several steps deep in flight.
#include "engine/scheduler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>

#include "engine/fake_runner.h"
#include "engine/random_requests.h"
#include "engine/step_batch.h"

namespace strata {
namespace {

SchedulerOptions small_options() {
  SchedulerOptions options;
  options.n_blocks = 32;
  options.block_tokens = 4;
  options.max_batch_tokens = 16;
  options.max_sequences = 8;
  options.max_outputs = 8;
  return options;
}

SequenceSpec spec_of(uint64_t arrival, int length, int priority = 0) {
  SequenceSpec spec;
  spec.rank = {priority, arrival, 0};
  for (int i = 0; i < length; ++i) spec.prompt.push_back(static_cast<TokenId>(arrival) * 100 + i);
  return spec;
}

struct Driver {
  explicit Driver(const SchedulerOptions& options) : scheduler(options) {}
  const StepPlan& step() {
    scheduler.schedule(clock.now(), plan);
    scheduler.commit(plan);
    for (const StepEntry& entry : plan.entries) {
      if (entry.samples) scheduler.append(*entry.sequence, 1);
    }
    return plan;
  }
  std::vector<uint64_t> order() const {
    std::vector<uint64_t> arrivals;
    for (const StepEntry& entry : plan.entries) arrivals.push_back(entry.sequence->rank.arrival);
    return arrivals;
  }
  FakeClock clock;
  Scheduler scheduler;
  StepPlan plan;
};

using Arrivals = std::vector<uint64_t>;

TEST(SchedulerTest, DecodesGoBeforePrefillsInOneBatch) {
  Driver run(small_options());
  run.scheduler.add(spec_of(1, 3));
  run.step();
  run.scheduler.add(spec_of(2, 30));
  const StepPlan& plan = run.step();
  ASSERT_EQ(plan.entries.size(), 2u);
  EXPECT_EQ(plan.entries[0].sequence->rank.arrival, 1u);
  EXPECT_EQ(plan.entries[0].count, 1);
  EXPECT_EQ(plan.entries[1].count, 15);  // the rest of the budget
  EXPECT_FALSE(plan.entries[1].samples);
  EXPECT_EQ(plan.tokens, 16);
  EXPECT_EQ(plan.outputs, 1);
}

TEST(SchedulerTest, PrefillsGoByPriorityThenArrival) {
  SchedulerOptions options = small_options();
  options.prefill_chunk = 4;
  Driver run(options);
  run.scheduler.add(spec_of(1, 20));
  run.scheduler.add(spec_of(2, 20));
  run.step();
  EXPECT_EQ(run.order(), (Arrivals{1, 2}));
  run.scheduler.add(spec_of(3, 20, -1));
  run.step();
  EXPECT_EQ(run.order(), (Arrivals{3, 1, 2}));
}

TEST(SchedulerTest, AMostlyCachedPromptGoesBeforeItsEquals) {
  SchedulerOptions options = small_options();
  Driver run(options);
  run.scheduler.finish(run.scheduler.add(spec_of(1, 13)));
  run.scheduler.add(spec_of(1, 13));
  run.step();
  const auto add = [&](uint64_t arrival, uint64_t prompt, int length, int priority = 0) {
    SequenceSpec spec = spec_of(prompt, length, priority);
    spec.rank.arrival = arrival;
    spec.arrived = run.clock.now();
    run.scheduler.add(std::move(spec));
  };
  add(2, 2, 40);
  add(3, 1, 14);     // all but two of its tokens are cached
  add(4, 1, 30);     // less than half of it is
  add(5, 1, 13, 1);  // less urgent
  EXPECT_EQ(run.step().entries[1].sequence->rank.arrival, 3u);
  EXPECT_EQ(run.order(), (Arrivals{1, 3, 2}));
  run.clock.advance(std::chrono::seconds(1));
  add(6, 1, 14);  // too late to overtake the second
  run.step();
  EXPECT_EQ(run.order(), (Arrivals{1, 3, 2}));
}

TEST(SchedulerTest, NobodyOvertakesWhomItSharesABlockWith) {
  SchedulerOptions options = small_options();
  options.prefill_chunk = 4;
  Driver run(options);
  run.scheduler.add(spec_of(1, 24));
  for (int i = 0; i < 3; ++i) run.step();
  SequenceSpec spec = spec_of(1, 20);  // half is computed, and the first is at the rest
  spec.rank.arrival = 2;
  run.scheduler.add(std::move(spec));
  run.step();
  EXPECT_EQ(run.order(), (Arrivals{1}));
  for (int i = 0; i < 8; ++i) run.step();
  EXPECT_EQ(run.scheduler.counters().prefix_hits, 16u);
}

TEST(SchedulerTest, TheBacklogCountsWhatIsLeftOfPromptsByPriority) {
  Driver run(small_options());
  EXPECT_TRUE(run.scheduler.backlog(0).classes.empty());
  run.scheduler.add(spec_of(1, 16));
  run.step();
  StepPlan measured;
  run.scheduler.add(spec_of(2, 40));
  run.scheduler.add(spec_of(3, 18, -1));
  run.scheduler.add(spec_of(4, 60));
  run.scheduler.schedule(run.clock.now(), measured);
  StepPlan large;
  large.entries.push_back({.sequence = measured.entries[0].sequence, .begin = 0, .count = 400});
  run.scheduler.observe(large, std::chrono::milliseconds(2000));
  run.scheduler.observe(measured, std::chrono::milliseconds(100));
  run.scheduler.commit(measured);
  const Backlog backlog = run.scheduler.backlog(7);
  ASSERT_EQ(backlog.classes.size(), 2u);
  EXPECT_EQ(backlog.classes[0].priority, -1);
  EXPECT_EQ(backlog.classes[0].requests, 0);  // it has begun
  EXPECT_EQ(backlog.classes[0].prompts, 1);
  EXPECT_GT(backlog.classes[0].seconds, 0);
  EXPECT_EQ(backlog.classes[1].requests, 2);
  EXPECT_EQ(backlog.classes[1].prompts, 2);
  EXPECT_GT(backlog.classes[1].seconds, 20 * backlog.classes[0].seconds);  // 100 tokens, not three
  EXPECT_GT(backlog.token_seconds, 0);
  EXPECT_GT(backlog.position_seconds, 0);
  EXPECT_GT(backlog.one_decode_seconds, 0);
  EXPECT_GT(backlog.more_decode_seconds, 0);
  EXPECT_EQ(backlog.release_seconds, 0);  // there is room
}

TEST(SchedulerTest, TheBacklogSaysWhenThereIsNoRoom) {
  SchedulerOptions options = small_options();
  options.max_sequences = 1;
  Driver run(options);
  run.scheduler.add(spec_of(1, 4));
  run.step();
  EXPECT_EQ(run.scheduler.backlog(7).release_seconds, 0);
  run.scheduler.add(spec_of(2, 4));
  run.step();
  EXPECT_EQ(run.scheduler.backlog(7).release_seconds, 7);
}

TEST(SchedulerTest, AdmissionWaitsForBlocksInOrder) {
  Driver run(small_options());  // 128 tokens
  run.scheduler.add(spec_of(1, 100));
  run.scheduler.add(spec_of(2, 40));
  run.scheduler.add(spec_of(3, 4));  // would fit, but is not let past the second
  run.step();
  EXPECT_EQ(run.order(), (Arrivals{1}));
  EXPECT_EQ(run.scheduler.running(), 1);
  EXPECT_EQ(run.scheduler.waiting(), 2);
}

TEST(SchedulerTest, ThePreemptedIsTheLastInRank) {
  SchedulerOptions options = small_options();
  options.n_blocks = 5;
  options.prefix_cache = false;
  Driver run(options);
  Sequence& urgent = run.scheduler.add(spec_of(3, 4, -1));
  Sequence& old = run.scheduler.add(spec_of(1, 3));
  Sequence& young = run.scheduler.add(spec_of(2, 1));
  for (int i = 0; i < 20 && run.scheduler.counters().preemptions == 0; ++i) run.step();
  EXPECT_EQ(run.scheduler.counters().preemptions, 1u);
  EXPECT_EQ(young.state, SequenceState::kWaiting);
  EXPECT_TRUE(young.table.empty());
  EXPECT_EQ(old.state, SequenceState::kRunning);
  EXPECT_EQ(urgent.state, SequenceState::kRunning);
}

TEST(SchedulerTest, DeadlinesArePastWhenTheClockSaysSo) {
  Driver run(small_options());
  SequenceSpec spec = spec_of(1, 4);
  spec.deadline = run.clock.now() + std::chrono::milliseconds(10);
  run.scheduler.add(std::move(spec));
  Sequence& other = run.scheduler.add(spec_of(2, 4));
  EXPECT_TRUE(run.scheduler.expired(run.clock.now()).empty());
  run.clock.advance(std::chrono::milliseconds(10));
  const auto late = run.scheduler.expired(run.clock.now());
  ASSERT_EQ(late.size(), 1u);
  EXPECT_EQ(late[0].arrival, 1u);
  run.step();
  EXPECT_EQ(other.first_scheduled, run.clock.now());
}

TEST(SchedulerTest, OutputRowsAreLimited) {
  SchedulerOptions options = small_options();
  options.max_outputs = 3;
  Driver run(options);
  SequenceSpec spec = spec_of(1, 10);
  spec.prompt_logprobs = true;
  run.scheduler.add(std::move(spec));
  std::vector<int> counts;
  std::vector<int> rows;
  for (int i = 0; i < 4; ++i) {
    const StepPlan& plan = run.step();
    counts.push_back(plan.entries[0].count);
    rows.push_back(plan.outputs);
    EXPECT_EQ(plan.entries[0].samples, i == 3);
  }
  EXPECT_EQ(counts, (std::vector<int>{3, 3, 3, 1}));
  EXPECT_EQ(rows, (std::vector<int>{3, 3, 3, 1}));
}

TEST(SchedulerTest, AnAbandonedStepIsPlannedAgain) {
  Driver run(small_options());
  Sequence& sequence = run.scheduler.add(spec_of(1, 10));
  run.scheduler.schedule(run.clock.now(), run.plan);
  run.scheduler.abandon(run.plan);
  EXPECT_EQ(sequence.remaining(), 10);
  run.scheduler.finish(sequence);
  EXPECT_TRUE(run.scheduler.empty());
  EXPECT_EQ(run.scheduler.pool().held(), 0);
  EXPECT_EQ(run.scheduler.index().claims(), 0u);
}

TEST(SchedulerTest, BlocksOfACancelledSequenceStayWhileAStepIsInFlight) {
  Driver run(small_options());
  Sequence& sequence = run.scheduler.add(spec_of(1, 10));
  run.scheduler.schedule(run.clock.now(), run.plan);
  run.scheduler.finish(sequence);
  EXPECT_EQ(run.scheduler.pool().held(), 3);
  StepPlan next;
  run.scheduler.schedule(run.clock.now(), next);
  EXPECT_TRUE(next.empty());
  run.scheduler.commit(run.plan);
  EXPECT_EQ(run.scheduler.pool().held(), 0);
  EXPECT_TRUE(run.scheduler.empty());
}

// Steps are planned `depth` ahead of their outcome; the device works them off in order.
class Pipeline {
 public:
  Pipeline(const SchedulerOptions& options, int depth)
      : depth_(depth), runner_(limits_of(options)), scheduler_(options) {}

  void add(const SequenceSpec& spec, int max_tokens) {
    limits_[spec.rank.arrival] = max_tokens;
    alive_[spec.rank.arrival] = {&scheduler_.add(spec)};
  }
  void cancel(uint64_t arrival) {
    for (Sequence* sequence : alive_[arrival]) scheduler_.finish(*sequence);
    alive_.erase(arrival);
  }
  // False when nothing is left.
  bool advance() {
    auto step = std::make_unique<Step>(Step{{}, StepBatch(runner_.limits().block_tokens), {}});
    scheduler_.schedule({}, step->plan);
    const bool planned = !step->plan.empty();
    if (planned) {
      step->batch = step->builder.build(step->plan);
      steps_.push_back(std::move(step));
    }
    if (steps_.empty()) return false;
    // When nothing can be planned, the device has to catch up first.
    if (!planned || static_cast<int>(steps_.size()) >= depth_) complete();
    return true;
  }
  const std::map<SequenceRank, std::vector<TokenId>>& finished() const { return finished_; }
  const Scheduler& scheduler() const { return scheduler_; }

 private:
  struct Step {
    StepPlan plan;
    StepBatch builder;
    Batch batch;
  };

  static RunnerLimits limits_of(const SchedulerOptions& options) {
    RunnerLimits limits;
    limits.vocab = 90;
    limits.max_context = 1000;
    limits.short_context = options.short_context;
    limits.max_batch_tokens = options.max_batch_tokens;
    limits.max_sequences = options.max_sequences;
    limits.max_outputs = options.max_outputs;
    limits.n_blocks = options.n_blocks;
    limits.block_tokens = options.block_tokens;
    return limits;
  }

  void complete() {
    const std::unique_ptr<Step> step = std::move(steps_.front());
    steps_.pop_front();
    for (const BlockOp& op : step->plan.block_ops)
      op.from < 0 ? runner_.clear_block(op.to) : runner_.copy_block(op.from, op.to);
    const auto logits = *runner_.run(step->batch);
    // Cancelled sequences may be gone after the commit.
    std::vector<std::pair<Sequence*, size_t>> sampled;
    size_t row = 0;
    for (const StepEntry& entry : step->plan.entries) {
      const bool finished = entry.sequence->state == SequenceState::kFinished;
      if (entry.samples && !finished) sampled.emplace_back(entry.sequence, row);
      row += static_cast<size_t>(entry.n_outputs());
    }
    scheduler_.commit(step->plan);
    for (const auto& [sequence, at] : sampled) sample(*sequence, logits.subspan(at * 90, 90));
  }

  // Greedy; the choice adds to the logits' order, so that forks part ways.
  void sample(Sequence& sequence, std::span<const float> logits) {
    const uint64_t arrival = sequence.rank.arrival;
    std::vector<Sequence*> sampled = {&sequence};
    if (sequence.length() == sequence.n_prompt && arrival % 3 == 0) {
      for (int choice = 1; choice < 3; ++choice) {
        sampled.push_back(&scheduler_.fork(sequence, choice));
        alive_[arrival].push_back(sampled.back());
      }
    }
    for (Sequence* each : sampled) {
      std::vector<std::pair<float, TokenId>> order;
      for (int id = 0; id < 90; ++id) order.emplace_back(-logits[static_cast<size_t>(id)], id);
      std::sort(order.begin(), order.end());
      scheduler_.append(*each, order[static_cast<size_t>(each->rank.choice)].second);
      if (each->length() - each->n_prompt < limits_[arrival]) continue;
      finished_[each->rank] = each->tokens;
      std::erase(alive_[arrival], each);
      scheduler_.finish(*each);
    }
  }

  const int depth_;
  FakeRunner runner_;
  Scheduler scheduler_;
  std::deque<std::unique_ptr<Step>> steps_;
  std::map<uint64_t, int> limits_;
  std::map<uint64_t, std::vector<Sequence*>> alive_;
  std::map<SequenceRank, std::vector<TokenId>> finished_;
};

TEST(SchedulerTest, ASequenceThatOutgrowsTheShortContextIsComputedAnew) {
  SchedulerOptions options = small_options();
  options.short_context = 6;
  Driver run(options);
  const Sequence& sequence = run.scheduler.add(spec_of(1, 5));
  EXPECT_EQ(run.step().tokens, 5);  // the prompt; now there are six tokens
  EXPECT_FALSE(sequence.outgrown);
  EXPECT_EQ(run.step().tokens, 1);  // now seven
  EXPECT_TRUE(sequence.outgrown);
  EXPECT_EQ(run.scheduler.waiting(), 1);
  EXPECT_EQ(run.scheduler.pool().held(), 0);
  EXPECT_EQ(run.step().tokens, 7);  // all, the first four too, whose block was in the prefix cache
  EXPECT_EQ(run.step().tokens, 1);
  EXPECT_EQ(sequence.preemptions, 0);
  run.scheduler.add(spec_of(1, 5, 1));
  EXPECT_EQ(run.step().tokens, 2);  // one to decode, and what is left of the short prompt beside its cached block
}

TEST(SchedulerTest, StepsInFlightChangeNoToken) {
  uint64_t preemptions = 0;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    std::map<SequenceRank, std::vector<TokenId>> expected;
    for (const int depth : {1, 2, 3, 4}) {
      Dice dice(seed);
      SchedulerOptions options = small_options();
      options.block_tokens = dice.between(1, 6);
      options.n_blocks = 80 / options.block_tokens + dice.below(60);
      options.prefill_chunk = dice.below(8);
      options.prefix_cache = !dice.one_in(3);
      options.short_context = dice.one_in(2) ? 0 : dice.between(1, 60);
      Pipeline pipeline(options, depth);
      for (uint64_t arrival = 1; arrival <= 24; ++arrival) {
        SequenceSpec spec = spec_of(arrival, dice.between(1, 40), dice.below(2));
        for (size_t i = 0; i < spec.prompt.size(); ++i) {
          spec.prompt[i] = static_cast<TokenId>(i < 20 ? i : i + arrival);  // a shared beginning
        }
        pipeline.add(spec, dice.between(1, 30));
        for (int i = dice.below(4); i > 0; --i) pipeline.advance();
      }
      for (int i = 0; pipeline.advance(); ++i) ASSERT_LT(i, 100000) << "no progress";
      ASSERT_TRUE(pipeline.scheduler().empty());
      ASSERT_EQ(pipeline.scheduler().pool().held(), 0);
      if (depth == 1) expected = pipeline.finished();
      ASSERT_EQ(pipeline.finished(), expected) << "seed " << seed << ", depth " << depth;
      preemptions += pipeline.scheduler().counters().preemptions;
    }
  }
  EXPECT_GT(preemptions, 100u);
}

TEST(SchedulerTest, CancellationsInFlightLeaveNothingBehind) {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    Dice dice(seed);
    SchedulerOptions options = small_options();
    options.prefill_chunk = dice.below(8);
    Pipeline pipeline(options, dice.between(1, 4));
    for (uint64_t arrival = 1; arrival <= 30; ++arrival) {
      pipeline.add(spec_of(dice.one_in(2) ? arrival : arrival + 1000, dice.between(1, 60)), dice.between(1, 40));
      for (int i = dice.below(4); i > 0; --i) pipeline.advance();
      if (dice.one_in(2)) pipeline.cancel(static_cast<uint64_t>(dice.between(1, static_cast<int>(arrival))));
    }
    for (int i = 0; pipeline.advance(); ++i) ASSERT_LT(i, 100000) << "no progress";
    ASSERT_TRUE(pipeline.scheduler().empty());
    ASSERT_EQ(pipeline.scheduler().pool().held(), 0);
    ASSERT_EQ(pipeline.scheduler().index().claims(), 0u);
  }
}

}  // namespace
}  // namespace strata
