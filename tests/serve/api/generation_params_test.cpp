#include "serve/api/generation_params.h"

#include <gtest/gtest.h>

#include "scripted_model.h"

namespace strata::api {
namespace {

class GenerationParamsTest : public ::testing::Test {
 protected:
  Metrics metrics_;
  test::ScriptedModel model_{metrics_, "m", 100};
  GenerationParams params_;
  std::vector<TokenId> prompt_ = {1, 2, 3};

  Result<Request> make(std::optional<int> default_max = {}) {
    return make_engine_request(params_, model_.host, prompt_, default_max, "prompt");
  }
};

TEST_F(GenerationParamsTest, FillsInTheModelsDefaults) {
  model_.host.defaults = {.temperature = 0.6f, .top_p = 0.9f, .top_k = 20, .min_p = 0.05f, .repetition_penalty = 1.2f};
  auto request = make(16);
  ASSERT_TRUE(request.ok());
  EXPECT_FLOAT_EQ(request->sampling.temperature, 0.6f);
  EXPECT_FLOAT_EQ(request->sampling.top_p, 0.9f);
  EXPECT_EQ(request->sampling.top_k, 20);
  EXPECT_FLOAT_EQ(request->sampling.min_p, 0.05f);
  EXPECT_FLOAT_EQ(request->sampling.repetition_penalty, 1.2f);
  params_.temperature = 0;
  params_.top_k = -1;
  params_.repetition_penalty = 1;
  request = make(16);
  ASSERT_TRUE(request.ok());
  EXPECT_EQ(request->sampling.temperature, 0);
  EXPECT_EQ(request->sampling.top_k, 0);
  EXPECT_EQ(request->sampling.repetition_penalty, 1);
}

TEST_F(GenerationParamsTest, LimitsTokensByWishDefaultAndContext) {
  EXPECT_EQ(make()->max_tokens, 97);
  EXPECT_EQ(make(16)->max_tokens, 16);
  EXPECT_EQ(make(1000)->max_tokens, 97);
  params_.min_tokens = 20;
  EXPECT_EQ(make(16)->max_tokens, 20);
  params_.max_tokens = 97;
  EXPECT_EQ(make(16)->max_tokens, 97);
  params_.max_tokens = 98;
  EXPECT_EQ(make(16).status().param(), "max_tokens");
  params_.max_tokens.reset();
  params_.min_tokens = 98;
  EXPECT_EQ(make(16).status().param(), "min_tokens");
}

TEST_F(GenerationParamsTest, APromptThatFillsTheContextLeavesNoRoom) {
  prompt_.assign(100, 5);
  EXPECT_EQ(make(16).status().param(), "prompt");
  params_.max_tokens = 0;  // for echo
  EXPECT_TRUE(make(16).ok());
}

TEST_F(GenerationParamsTest, DrawsASeedWhenNoneIsGiven) {
  EXPECT_NE(make()->sampling.seed, make()->sampling.seed);
  params_.seed = -1;
  EXPECT_EQ(make()->sampling.seed, ~uint64_t{0});
}

TEST_F(GenerationParamsTest, ZeroTopPLeavesOneToken) {
  params_.top_p = 0;
  EXPECT_EQ(make()->sampling.top_k, 1);
  EXPECT_EQ(make()->sampling.top_p, 1);
}

TEST_F(GenerationParamsTest, PassesTheRestOn) {
  params_.n = 3;
  params_.stop = {"x"};
  params_.stop_token_ids = {9};
  params_.ignore_eos = true;
  params_.priority = -4;
  params_.timeout = 1.5;
  params_.logit_bias = {{3, 2.0f}};
  const auto request = make();
  ASSERT_TRUE(request.ok());
  EXPECT_EQ(request->n, 3);
  EXPECT_EQ(request->stop, params_.stop);
  EXPECT_EQ(request->stop_tokens, params_.stop_token_ids);
  EXPECT_TRUE(request->ignore_eos);
  EXPECT_EQ(request->priority, -4);
  EXPECT_EQ(request->timeout, std::chrono::milliseconds(1500));
  EXPECT_EQ(request->sampling.logit_bias, params_.logit_bias);
}

TEST_F(GenerationParamsTest, AnEmptyPromptIsNamed) {
  prompt_.clear();
  EXPECT_EQ(make().status().param(), "prompt");
}

TEST(CheckTextSize, SaysBothNumbersBeforeTokenizing) {
  EXPECT_TRUE(check_text_size(1000, 10, 100, "prompt").ok());
  const Status status = check_text_size(1010, 10, 100, "prompt");
  EXPECT_EQ(status.param(), "prompt");
  EXPECT_NE(status.message().find("100 tokens"), std::string::npos);
  EXPECT_NE(status.message().find("at least 101"), std::string::npos);
}

}  // namespace
}  // namespace strata::api
