// The law of company: what a request is told does not depend on who runs beside it, on chunks, on what is cached, or on
// being preempted. Random loads against the same requests run alone, bit for bit.
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "engine/fake_runner.h"
#include "engine/fake_tokenizer.h"
#include "engine/random_requests.h"
#include "engine/step_loop.h"
#include "engine/transcript.h"

namespace strata {
namespace {

constexpr int kMaxLength = 96;
constexpr int kRequests = 64;

RunnerLimits limits_for(int block_tokens, int sequences_in_cache, int short_context = 0) {
  RunnerLimits limits;
  limits.vocab = FakeTokenizer::kVocab;
  limits.max_context = kMaxLength;
  limits.short_context = short_context;
  limits.max_batch_tokens = 512;
  limits.max_sequences = 24;
  limits.max_outputs = 24;
  limits.block_tokens = block_tokens;
  limits.n_blocks = sequences_in_cache * ((kMaxLength + block_tokens - 1) / block_tokens);
  return limits;
}

std::vector<Request> random_load(uint64_t seed) {
  Dice dice(seed);
  std::vector<Request> requests;
  for (int i = 0; i < kRequests; ++i) requests.push_back(random_request(dice, seed * 7, kMaxLength));
  return requests;
}

// A loop with its runner, and everything that was heard.
struct Bench {
  Bench(const RunnerLimits& limits, const EngineOptions& options)
      : runner(limits), loop(runner, tokenizer, options, clock, counters, nullptr, nullptr) {}

  void add(const Request& request) {
    heard.push_back(std::make_shared<Transcript>(request.n));
    ++counters.live;
    loop.add({heard.size(), request, Transcript::sink(heard.back()), clock.now()});
  }
  void run_all() {
    for (int steps = 0; loop.step(); ++steps) ASSERT_LT(steps, 100000) << "no progress";
    ASSERT_EQ(counters.live, 0);
    ASSERT_EQ(loop.scheduler().pool().held(), 0);
    ASSERT_EQ(loop.scheduler().index().claims(), 0u);
  }

  FakeTokenizer tokenizer;
  FakeClock clock;
  EngineCounters counters;
  FakeRunner runner;
  StepLoop loop;
  std::vector<std::shared_ptr<Transcript>> heard;
};

std::vector<std::shared_ptr<Transcript>> run_each_alone(const std::vector<Request>& requests, int short_context = 0) {
  EngineOptions options;
  options.prefix_cache = false;
  std::vector<std::shared_ptr<Transcript>> alone;
  for (const Request& request : requests) {
    Bench bench(limits_for(16, 5, short_context), options);
    bench.add(request);
    bench.run_all();
    alone.push_back(bench.heard[0]);
  }
  return alone;
}

struct Company {
  int chunk = 0;
  bool prefix_cache = true;
  int block_tokens = 16;
  int sequences_in_cache = 8;
  int budget = 512;
  int rounds = 1;  // the same load again and again: a warm cache
  int cancel_one_in = 0;
  int fail_at_step = -1;
  int short_context = 0;
};

std::ostream& operator<<(std::ostream& out, const Company& company) {
  return out << "chunk " << company.chunk << ", prefix cache " << company.prefix_cache << ", blocks of "
             << company.block_tokens << ", cache for " << company.sequences_in_cache << ", budget " << company.budget
             << ", rounds " << company.rounds << ", cancels one in " << company.cancel_one_in << ", fails at "
             << company.fail_at_step << ", short context " << company.short_context;
}

struct Counted {
  uint64_t preemptions = 0;
  uint64_t hits = 0;
  int cut_short = 0;  // cancelled or failed
};

Counted run_in_company(const std::vector<Request>& requests, const std::vector<std::shared_ptr<Transcript>>& alone,
                       const Company& company, uint64_t seed) {
  EngineOptions options;
  options.prefill_chunk = company.chunk;
  options.prefix_cache = company.prefix_cache;
  options.max_batch_tokens = company.budget;
  Bench bench(limits_for(company.block_tokens, company.sequences_in_cache, company.short_context), options);
  bench.runner.fail_at_step = company.fail_at_step;
  Dice dice(seed + 99);
  Counted counted;
  for (int round = 0; round < company.rounds; ++round) {
    for (const Request& request : requests) {
      bench.add(request);
      for (int steps = dice.below(3); steps > 0; --steps) bench.loop.step();
      if (company.cancel_one_in == 0 || !dice.one_in(company.cancel_one_in)) continue;
      const size_t victim = static_cast<size_t>(dice.below(static_cast<int>(bench.heard.size())));
      bench.loop.cancel(victim + 1);
    }
    bench.run_all();
  }
  std::ostringstream what;
  what << "seed " << seed << ", " << company;
  for (size_t i = 0; i < bench.heard.size(); ++i) {
    const auto& answers = bench.heard[i]->answers;
    const bool cut_short = std::any_of(answers.begin(), answers.end(), [](const Transcript::Answer& answer) {
      return answer.finish == FinishReason::kCancelled || answer.finish == FinishReason::kError;
    });
    counted.cut_short += cut_short;
    if (cut_short) continue;
    expect_same(*alone[i % requests.size()], *bench.heard[i], what.str() + ", request " + std::to_string(i));
    if (testing::Test::HasFatalFailure()) return counted;
  }
  counted.preemptions = bench.loop.scheduler().counters().preemptions;
  counted.hits = bench.loop.scheduler().counters().prefix_hits;
  return counted;
}

TEST(CompanyTest, SixtyFourRequestsWithCacheForEightMatchEachAlone) {
  const auto requests = random_load(1);
  const auto alone = run_each_alone(requests);
  for (const int chunk : {1, 16, 512}) {
    for (const bool prefix_cache : {false, true}) {
      for (const int rounds : {1, 2}) {
        Company company;
        company.chunk = chunk;
        company.prefix_cache = prefix_cache;
        company.rounds = rounds;
        const Counted counted = run_in_company(requests, alone, company, 1);
        if (HasFatalFailure()) return;
        EXPECT_EQ(counted.hits > 0, prefix_cache) << company;
      }
    }
  }
}

// Models with two sets of rotary frequencies: whoever grows beyond the short context is computed anew.
TEST(CompanyTest, SequencesThatOutgrowTheShortContextMatchEachAlone) {
  for (const int short_context : {1, 17, 32, 47, 64}) {
    const auto requests = random_load(static_cast<uint64_t>(short_context));
    const auto alone = run_each_alone(requests, short_context);
    for (const int chunk : {1, 16, 512}) {
      Company company;
      company.chunk = chunk;
      company.rounds = 2;
      company.short_context = short_context;
      const Counted counted = run_in_company(requests, alone, company, 1);
      if (HasFatalFailure()) return;
      EXPECT_GT(counted.hits, 0u) << company;
    }
  }
}

Company random_company(Dice& dice) {
  Company company;
  const int chunks[] = {0, 1, 3, 16, 512};
  const int blocks[] = {1, 2, 5, 16, 32};
  const int caches[] = {1, 2, 4, 8, 64};
  const int budgets[] = {1, 7, 32, 512};
  company.chunk = chunks[dice.below(5)];
  company.prefix_cache = !dice.one_in(4);
  company.block_tokens = blocks[dice.below(5)];
  company.sequences_in_cache = caches[dice.below(5)];
  company.budget = budgets[dice.below(4)];
  company.rounds = dice.between(1, 2);
  company.cancel_one_in = dice.one_in(2) ? dice.between(1, 8) : 0;
  company.fail_at_step = dice.one_in(4) ? dice.between(1, 300) : -1;
  return company;
}

class RandomCompanyTest : public testing::TestWithParam<int> {};

TEST_P(RandomCompanyTest, ChangesNothing) {
  Counted all;
  for (int load = 0; load < 6; ++load) {
    const uint64_t seed = static_cast<uint64_t>(100 + GetParam() * 6 + load);
    const auto requests = random_load(seed);
    const auto alone = run_each_alone(requests);
    Dice dice(seed);
    for (int variant = 0; variant < 10; ++variant) {
      const Counted counted = run_in_company(requests, alone, random_company(dice), seed);
      if (HasFailure()) return;
      all.preemptions += counted.preemptions;
      all.hits += counted.hits;
      all.cut_short += counted.cut_short;
    }
  }
  // The loads were hard enough to mean something.
  EXPECT_GT(all.preemptions, 300u);
  EXPECT_GT(all.hits, 20000u);
  EXPECT_GT(all.cut_short, 100);
}

INSTANTIATE_TEST_SUITE_P(Seeds, RandomCompanyTest, testing::Range(0, 5));

}  // namespace
}  // namespace strata
