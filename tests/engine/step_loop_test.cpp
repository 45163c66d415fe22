// The loop driven step by step on one thread: what requests hear, limits, failures, sharing.
#include "engine/step_loop.h"

#include <gtest/gtest.h>

#include "engine/fake_runner.h"
#include "engine/fake_tokenizer.h"
#include "engine/transcript.h"

namespace strata {
namespace {

RunnerLimits small_limits() {
  RunnerLimits limits;
  limits.vocab = FakeTokenizer::kVocab;
  limits.max_context = 256;
  limits.max_batch_tokens = 64;
  limits.max_sequences = 8;
  limits.max_outputs = 8;
  limits.n_blocks = 64;
  limits.block_tokens = 4;
  return limits;
}

std::vector<TokenId> numbered_prompt(int length, int first = 20) {
  std::vector<TokenId> prompt;
  for (int i = 0; i < length; ++i) prompt.push_back(2 + (first + i * i) % 90);
  return prompt;
}

class StepLoopTest : public testing::Test {
 protected:
  void start(const RunnerLimits& limits, const EngineOptions& options = {}) {
    runner_ = std::make_unique<FakeRunner>(limits);
    loop_ = std::make_unique<StepLoop>(*runner_, tokenizer_, options, clock_, counters_, nullptr, nullptr);
  }
  std::shared_ptr<Transcript> add(const Request& request) {
    auto transcript = std::make_shared<Transcript>(request.n);
    ++counters_.live;
    loop_->add({++handle_, request, Transcript::sink(transcript), clock_.now()});
    return transcript;
  }
  Request greedy(int prompt, int max_tokens) {
    Request request;
    request.prompt = numbered_prompt(prompt);
    request.max_tokens = max_tokens;
    request.sampling.temperature = 0;
    request.ignore_eos = true;
    return request;
  }
  void run_all() {
    for (int steps = 0; loop_->step(); ++steps) ASSERT_LT(steps, 10000);
  }

  FakeTokenizer tokenizer_;
  FakeClock clock_;
  EngineCounters counters_;
  std::unique_ptr<FakeRunner> runner_;
  std::unique_ptr<StepLoop> loop_;
  uint64_t handle_ = 0;
};

TEST_F(StepLoopTest, GivesAsManyTokensAsAskedFor) {
  start(small_limits());
  const auto heard = add(greedy(10, 5));
  run_all();
  ASSERT_TRUE(heard->done);
  EXPECT_EQ(heard->answers[0].tokens.size(), 5u);
  EXPECT_EQ(heard->answers[0].events, 5);
  EXPECT_EQ(heard->answers[0].finish, FinishReason::kLength);
  EXPECT_EQ(heard->usage.prompt_tokens, 10);
  EXPECT_EQ(heard->usage.completion_tokens, 5);
  EXPECT_EQ(counters_.live, 0);
  EXPECT_EQ(loop_->scheduler().pool().held(), 0);
}

TEST_F(StepLoopTest, EndTokenEndsWithoutText) {
  start(small_limits());
  Request request = greedy(10, 200);
  request.ignore_eos = false;
  const auto heard = add(request);
  run_all();
  const auto& answer = heard->answers[0];
  ASSERT_EQ(answer.finish, FinishReason::kStop);
  EXPECT_TRUE(answer.tokens.back() == FakeTokenizer::kEnd || answer.tokens.back() == FakeTokenizer::kTurn);
  EXPECT_EQ(answer.stop_text, "");
}

TEST_F(StepLoopTest, MinTokensKeepsEndTokensAway) {
  start(small_limits());
  Request request = greedy(10, 150);
  request.ignore_eos = false;
  request.min_tokens = 150;
  request.stop = {"a", "b"};
  const auto heard = add(request);
  run_all();
  EXPECT_EQ(heard->answers[0].tokens.size(), 150u);
}

TEST_F(StepLoopTest, NoTokensStillComputesThePromptForEcho) {
  start(small_limits());
  Request request = greedy(21, 0);
  request.prompt_logprobs = 2;
  request.n = 2;
  const auto heard = add(request);
  run_all();
  ASSERT_TRUE(heard->done);
  EXPECT_EQ(heard->answers[0].finish, FinishReason::kLength);
  EXPECT_TRUE(heard->answers[1].tokens.empty());
  ASSERT_EQ(heard->prompt_logprobs.size(), 20u);
  for (size_t i = 0; i < 20; ++i) {
    EXPECT_EQ(heard->prompt_logprobs[i].chosen.token, request.prompt[i + 1]);
    EXPECT_EQ(heard->prompt_logprobs[i].top.size(), 2u);
  }
}

TEST_F(StepLoopTest, CancelEndsTheRequestAndFreesItsBlocks) {
  start(small_limits());
  Request request = greedy(30, 100);
  request.n = 3;
  const auto heard = add(request);
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(loop_->step());
  loop_->cancel(1);
  ASSERT_TRUE(heard->done);
  for (const auto& answer : heard->answers) EXPECT_EQ(answer.finish, FinishReason::kCancelled);
  EXPECT_EQ(loop_->scheduler().pool().held(), 0);
  EXPECT_FALSE(loop_->step());
  loop_->cancel(1);  // already gone
}

TEST_F(StepLoopTest, TimeoutEndsRunningAndWaiting) {
  RunnerLimits limits = small_limits();
  limits.n_blocks = 12;
  start(limits);
  Request request = greedy(30, 18);
  request.timeout = std::chrono::seconds(2);
  const auto running = add(request);
  const auto waiting = add(request);
  request.timeout.reset();
  const auto patient = add(request);
  ASSERT_TRUE(loop_->step());
  clock_.advance(std::chrono::seconds(1));
  ASSERT_TRUE(loop_->step());
  EXPECT_FALSE(running->done);
  clock_.advance(std::chrono::seconds(1));
  ASSERT_TRUE(loop_->step());
  for (const auto& late : {running, waiting}) {
    ASSERT_TRUE(late->done);
    EXPECT_EQ(late->answers[0].finish, FinishReason::kError);
    EXPECT_EQ(late->answers[0].error.code(), Code::kDeadline);
  }
  run_all();
  EXPECT_EQ(patient->answers[0].tokens.size(), 18u);
}

TEST_F(StepLoopTest, AFailedStepEndsItsRequestsAndTheLoopGoesOn) {
  start(small_limits());
  runner_->fail_at_step = 3;
  Request request = greedy(10, 6);
  request.n = 2;
  const auto lost = add(request);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(loop_->step());
  ASSERT_TRUE(lost->done);
  EXPECT_EQ(lost->answers[0].finish, FinishReason::kError);
  EXPECT_EQ(lost->answers[1].error.message(), "the device is gone");
  EXPECT_EQ(loop_->scheduler().pool().held(), 0);
  const auto next = add(request);
  run_all();
  EXPECT_EQ(next->answers[1].tokens.size(), 6u);
}

TEST_F(StepLoopTest, ChoicesShareThePromptAndDiffer) {
  start(small_limits());
  Request request = greedy(33, 12);
  request.sampling.temperature = 1;
  request.n = 4;
  const auto heard = add(request);
  run_all();
  EXPECT_EQ(runner_->tokens(), 33u + 4 * 11);
  EXPECT_EQ(runner_->copies(), 3);  // the last to write keeps the shared block
  EXPECT_NE(heard->answers[0].tokens, heard->answers[1].tokens);
  EXPECT_EQ(heard->usage.completion_tokens, 48);
  EXPECT_EQ(heard->usage.prompt_tokens, 33);
}

TEST_F(StepLoopTest, SixteenClientsComputeOneLongPrefixOnce) {
  for (const int chunk : {0, 1, 7, 16}) {
    RunnerLimits limits = small_limits();
    limits.max_sequences = 16;
    limits.max_outputs = 16;
    limits.n_blocks = 200;
    EngineOptions options;
    options.prefill_chunk = chunk;
    start(limits, options);
    std::vector<std::shared_ptr<Transcript>> heard;
    for (int client = 0; client < 16; ++client) {
      Request request = greedy(200, 4);
      request.prompt.push_back(10 + client);
      heard.push_back(add(request));
    }
    run_all();
    EXPECT_EQ(runner_->tokens(), 200u + 16 * 4) << "chunk " << chunk;
    EXPECT_EQ(heard[15]->usage.cached_tokens, 200);
    for (const auto& each : heard) EXPECT_EQ(each->answers[0].tokens.size(), 4u);
  }
}

TEST_F(StepLoopTest, AWaiterTakesOverFromACancelledPrefill) {
  EngineOptions options;
  options.prefill_chunk = 16;
  start(small_limits(), options);
  const auto first = add(greedy(100, 4));
  const auto second = add(greedy(100, 4));
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(loop_->step());
  loop_->cancel(1);
  run_all();
  EXPECT_EQ(first->answers[0].finish, FinishReason::kCancelled);
  EXPECT_EQ(second->answers[0].tokens.size(), 4u);
  EXPECT_EQ(runner_->tokens(), 100u + 3);  // nothing was computed twice
}

TEST_F(StepLoopTest, SaltsAndAdaptersKeepPrefixesApart) {
  start(small_limits());
  Request request = greedy(40, 2);
  add(request);
  run_all();
  request.cache_salt = "tenant";
  const auto salted = add(request);
  run_all();
  EXPECT_EQ(salted->usage.cached_tokens, 0);
  const auto again = add(request);
  run_all();
  EXPECT_EQ(again->usage.cached_tokens, 36);
  request.adapter = fake_adapter(1);
  const auto adapted = add(request);
  run_all();
  EXPECT_EQ(adapted->usage.cached_tokens, 0);
  EXPECT_NE(adapted->answers[0].tokens, again->answers[0].tokens);
  request.adapter = fake_adapter(2);  // loaded anew under the same name, with other numbers
  const auto other = add(request);
  run_all();
  EXPECT_EQ(other->usage.cached_tokens, 0);
  request.adapter = fake_adapter(1);  // the same numbers again
  const auto same = add(request);
  run_all();
  EXPECT_EQ(same->usage.cached_tokens, 36);
  EXPECT_EQ(same->answers[0].tokens, adapted->answers[0].tokens);
}

TEST_F(StepLoopTest, UrgentRequestsGoFirst) {
  RunnerLimits limits = small_limits();
  limits.max_sequences = 1;
  start(limits);
  const auto running = add(greedy(8, 3));
  ASSERT_TRUE(loop_->step());
  Request request = greedy(8, 3);
  const auto normal = add(request);
  request.priority = -1;
  const auto urgent = add(request);
  while (!urgent->done) ASSERT_TRUE(loop_->step());
  EXPECT_TRUE(running->done);
  EXPECT_EQ(normal->answers[0].events, 0);
  run_all();
  EXPECT_TRUE(normal->done);
}

TEST_F(StepLoopTest, StopStringsAcrossTokensLeaveNoTrace) {
  start(small_limits());
  const auto free = add(greedy(12, 60));
  run_all();
  const std::string text = free->answers[0].text;
  ASSERT_GT(text.size(), 40u);
  // Every substring of the free text as a stop string cuts at its first end.
  for (size_t begin = 0; begin + 5 < 40; ++begin) {
    Request request = greedy(12, 60);
    request.stop = {"not there", text.substr(begin, 5)};
    const auto heard = add(request);
    run_all();
    ASSERT_EQ(heard->answers[0].finish, FinishReason::kStop);
    EXPECT_EQ(heard->answers[0].text, text.substr(0, text.find(request.stop[1])));
    EXPECT_EQ(heard->answers[0].stop_text, request.stop[1]);
  }
}

class OddTokens final : public TokenMask {
 public:
  void fill(std::vector<uint64_t>& allowed) override {
    for (uint64_t& word : allowed) word = count_ < 6 ? 0xAAAAAAAAAAAAAAAAu & ~uint64_t{2} : 0;
  }
  void accept(TokenId) override { ++count_; }
  std::unique_ptr<TokenMask> clone() const override { return std::make_unique<OddTokens>(*this); }

 private:
  int count_ = 0;
};

TEST_F(StepLoopTest, MasksRestrictEachChoiceAndMayRunDry) {
  start(small_limits());
  Request request = greedy(12, 5);
  request.n = 2;
  request.sampling.temperature = 1;
  request.mask = std::make_shared<OddTokens>();
  const auto heard = add(request);
  run_all();
  for (const auto& answer : heard->answers) {
    EXPECT_EQ(answer.tokens.size(), 5u);
    for (const TokenId token : answer.tokens) EXPECT_EQ(token % 2, 1);
  }
  request.max_tokens = 20;
  const auto dry = add(request);
  run_all();
  EXPECT_EQ(dry->answers[0].finish, FinishReason::kError);
  EXPECT_EQ(loop_->scheduler().pool().held(), 0);
}

TEST_F(StepLoopTest, WhatFitsAloneNeverFails) {
  RunnerLimits limits = small_limits();
  limits.n_blocks = 10;  // 40 tokens: exactly one of these requests
  start(limits);
  std::vector<std::shared_ptr<Transcript>> heard;
  for (int i = 0; i < 6; ++i) {
    Request request = greedy(5, 35);
    request.prompt[0] = 10 + i;
    request.n = 2;
    heard.push_back(add(request));
  }
  run_all();
  for (const auto& each : heard) {
    for (const auto& answer : each->answers) EXPECT_EQ(answer.tokens.size(), 35u);
  }
  EXPECT_GT(loop_->scheduler().counters().preemptions, 0u);
}

}  // namespace
}  // namespace strata
