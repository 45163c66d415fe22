#include "engine/request_check.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

namespace strata {
namespace {

RunnerLimits test_limits() {
  RunnerLimits limits;
  limits.vocab = 100;
  limits.max_context = 64;
  limits.n_blocks = 10;
  limits.block_tokens = 16;
  return limits;
}

Request valid() {
  Request request;
  request.prompt = {1, 2, 3};
  return request;
}

TEST(RequestCheckTest, TakesTheDefaults) { EXPECT_TRUE(check_request(valid(), test_limits()).ok()); }

TEST(RequestCheckTest, NamesTheFieldAtFault) {
  const float nan = std::nanf("");
  const std::vector<std::pair<std::string, std::function<void(Request&)>>> cases = {
      {"prompt", [](Request& r) { r.prompt.clear(); }},
      {"prompt", [](Request& r) { r.prompt = {100}; }},
      {"prompt", [](Request& r) { r.prompt = {-1}; }},
      {"prompt", [](Request& r) { r.prompt.assign(64, 1); }},
      {"max_tokens", [](Request& r) { r.max_tokens = -1; }},
      {"max_tokens", [](Request& r) { r.max_tokens = 62; }},
      {"max_tokens", [](Request& r) { r.max_tokens = std::numeric_limits<int>::max(); }},
      {"min_tokens", [](Request& r) { r.min_tokens = 17; }},
      {"min_tokens", [](Request& r) { r.min_tokens = -1; }},
      {"n", [](Request& r) { r.n = 0; }},
      {"n", [](Request& r) { r.n = kMaxChoices + 1; }},
      {"stop",
       [](Request& r) {
         r.stop = {"a", ""};
       }},
      {"stop_token_ids", [](Request& r) { r.stop_tokens = {100}; }},
      {"logprobs", [](Request& r) { r.logprobs = -2; }},
      {"prompt_logprobs", [](Request& r) { r.prompt_logprobs = -2; }},
      {"temperature", [](Request& r) { r.sampling.temperature = -1; }},
      {"temperature", [=](Request& r) { r.sampling.temperature = nan; }},
      {"temperature", [](Request& r) { r.sampling.temperature = 1e-39f; }},
      {"temperature", [](Request& r) { r.sampling.temperature = std::numeric_limits<float>::infinity(); }},
      {"top_k", [](Request& r) { r.sampling.top_k = -1; }},
      {"top_p", [](Request& r) { r.sampling.top_p = 0; }},
      {"top_p", [](Request& r) { r.sampling.top_p = 1.1f; }},
      {"top_p", [=](Request& r) { r.sampling.top_p = nan; }},
      {"min_p", [](Request& r) { r.sampling.min_p = -0.1f; }},
      {"typical_p", [](Request& r) { r.sampling.typical_p = 0; }},
      {"repetition_penalty", [](Request& r) { r.sampling.repetition_penalty = 0; }},
      {"presence_penalty", [=](Request& r) { r.sampling.presence_penalty = nan; }},
      {"frequency_penalty", [=](Request& r) { r.sampling.frequency_penalty = nan; }},
      {"logit_bias",
       [](Request& r) {
         r.sampling.logit_bias = {{100, 1.0f}};
       }},
      {"logit_bias",
       [=](Request& r) {
         r.sampling.logit_bias = {{1, nan}};
       }},
  };
  for (size_t i = 0; i < cases.size(); ++i) {
    Request request = valid();
    cases[i].second(request);
    const Status status = check_request(request, test_limits());
    EXPECT_EQ(status.code(), Code::kInvalidArgument) << "case " << i << ", " << cases[i].first;
    EXPECT_EQ(status.param(), cases[i].first) << "case " << i;
    EXPECT_FALSE(status.message().empty());
  }
}

TEST(RequestCheckTest, ASmallCacheLimitsLikeTheContext) {
  RunnerLimits limits = test_limits();
  limits.n_blocks = 2;
  EXPECT_EQ(max_request_tokens(limits), 32);
  Request request = valid();
  request.max_tokens = 29;
  EXPECT_TRUE(check_request(request, limits).ok());
  request.max_tokens = 30;
  const Status status = check_request(request, limits);
  EXPECT_NE(status.message().find("32 (the size of the cache)"), std::string::npos);
}

}  // namespace
}  // namespace strata
