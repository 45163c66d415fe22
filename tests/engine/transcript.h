// What a request was told, gathered from its events, with the rules every stream of events keeps checked on the way.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "engine/request.h"

namespace strata {

struct Transcript {
  struct Answer {
    std::vector<TokenId> tokens;
    std::string text;
    std::vector<PositionLogprobs> logprobs;
    FinishReason finish = FinishReason::kNone;
    std::string stop_text;
    Status error;
    int events = 0;
  };
  std::vector<Answer> answers;
  std::vector<PositionLogprobs> prompt_logprobs;
  Usage usage;
  bool done = false;

  explicit Transcript(int n = 1) : answers(static_cast<size_t>(n)) {}

  void add(Event&& event) {
    ASSERT_FALSE(done) << "an event after the last";
    ASSERT_TRUE(event.choice >= 0 && static_cast<size_t>(event.choice) < answers.size());
    Answer& answer = answers[static_cast<size_t>(event.choice)];
    ASSERT_EQ(answer.finish, FinishReason::kNone) << "an event after the end of its choice";
    answer.tokens.insert(answer.tokens.end(), event.tokens.begin(), event.tokens.end());
    answer.text += event.text;
    answer.logprobs.insert(answer.logprobs.end(), event.logprobs.begin(), event.logprobs.end());
    answer.finish = event.finish;
    answer.stop_text = event.stop_text;
    answer.error = event.error;
    ++answer.events;
    if (!event.prompt_logprobs.empty()) {
      ASSERT_TRUE(prompt_logprobs.empty());
      prompt_logprobs = std::move(event.prompt_logprobs);
    }
    if (!event.last) return;
    done = true;
    usage = event.usage;
    for (const Answer& each : answers) ASSERT_NE(each.finish, FinishReason::kNone);
  }

  static EventSink sink(std::shared_ptr<Transcript> transcript) {
    return [transcript](Event&& event) { transcript->add(std::move(event)); };
  }
};

inline bool operator==(const TokenLogprob& a, const TokenLogprob& b) {
  return a.token == b.token && a.logprob == b.logprob;
}
inline bool operator==(const PositionLogprobs& a, const PositionLogprobs& b) {
  return a.chosen == b.chosen && a.rank == b.rank && a.top == b.top;
}

// Bit for bit the same answers, whatever the events were cut into.
inline void expect_same(const Transcript& expected, const Transcript& actual, const std::string& what) {
  ASSERT_TRUE(expected.done) << what;
  ASSERT_TRUE(actual.done) << what;
  for (size_t i = 0; i < expected.answers.size(); ++i) {
    const Transcript::Answer& a = expected.answers[i];
    const Transcript::Answer& b = actual.answers[i];
    ASSERT_EQ(a.tokens, b.tokens) << what;
    ASSERT_EQ(a.text, b.text) << what;
    ASSERT_EQ(a.finish, b.finish) << what;
    ASSERT_EQ(a.stop_text, b.stop_text) << what;
    ASSERT_TRUE(a.logprobs == b.logprobs) << what;
  }
  ASSERT_TRUE(expected.prompt_logprobs == actual.prompt_logprobs) << what;
  ASSERT_EQ(expected.usage.completion_tokens, actual.usage.completion_tokens) << what;
}

}  // namespace strata
