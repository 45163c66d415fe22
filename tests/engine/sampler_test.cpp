#include "engine/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <set>

#include "engine/philox.h"
#include "engine/random_requests.h"
#include "engine/softmax.h"

namespace strata {
namespace {

// Roughly normal logits.
std::vector<float> random_logits(Dice& dice, int vocab, float spread) {
  std::vector<float> logits;
  for (int i = 0; i < vocab; ++i) {
    int sum = 0;
    for (int j = 0; j < 6; ++j) sum += dice.below(2001) - 1000;
    logits.push_back(spread * static_cast<float>(sum) / 1414);
  }
  return logits;
}

// The definition, in double precision with full sorts: token -> probability of being drawn.
std::map<TokenId, double> reference(const std::vector<float>& logits, const SamplingParams& params) {
  struct Token {
    TokenId id;
    double key;
    double weight;
  };
  std::vector<Token> tokens;
  const double max = *std::max_element(logits.begin(), logits.end());
  for (size_t i = 0; i < logits.size(); ++i) {
    tokens.push_back({static_cast<TokenId>(i), logits[i], std::exp((logits[i] - max) / params.temperature)});
  }
  const auto by_key = [](const Token& a, const Token& b) { return a.key != b.key ? a.key > b.key : a.id < b.id; };
  const auto mass = [&] {
    return std::accumulate(tokens.begin(), tokens.end(), 0.0,
                           [](double sum, const Token& token) { return sum + token.weight; });
  };
  const auto keep = [&](double share) {
    std::sort(tokens.begin(), tokens.end(), by_key);
    double left = share * mass();
    size_t count = 0;
    while (count < tokens.size() && left > 0) left -= tokens[count++].weight;
    tokens.resize(count);
  };
  std::erase_if(tokens, [&](const Token& token) { return token.weight < params.min_p; });
  std::sort(tokens.begin(), tokens.end(), by_key);
  if (params.top_k > 0 && tokens.size() > static_cast<size_t>(params.top_k))
    tokens.resize(static_cast<size_t>(params.top_k));
  if (params.top_p < 1) keep(params.top_p);
  if (params.typical_p < 1) {
    const double total = mass();
    double entropy = 0;
    for (const Token& token : tokens) entropy -= token.weight / total * std::log(token.weight / total);
    for (Token& token : tokens) token.key = -std::abs(-std::log(token.weight / total) - entropy);
    keep(params.typical_p);
  }
  std::map<TokenId, double> result;
  const double total = mass();
  for (const Token& token : tokens) result[token.id] = token.weight / total;
  return result;
}

SampleInput input_for(const std::vector<float>& logits, const SamplingParams& params, uint64_t position) {
  SampleInput input;
  input.logits = logits;
  input.params = &params;
  input.position = position;
  return input;
}

std::map<TokenId, int> draw(const std::vector<float>& logits, const SamplingParams& params, int count) {
  Sampler sampler;
  std::map<TokenId, int> drawn;
  for (int i = 0; i < count; ++i) ++drawn[*sampler.sample(input_for(logits, params, static_cast<uint64_t>(i)))];
  return drawn;
}

// Pearson's statistic over all tokens expected at least five times; the others together.
void expect_distribution(const std::map<TokenId, int>& drawn, const std::map<TokenId, double>& expected, int count) {
  for (const auto& [token, times] : drawn) ASSERT_TRUE(expected.count(token)) << "token " << token << " was cut";
  double statistic = 0;
  double rest_expected = 0;
  double rest_drawn = 0;
  int cells = 0;
  for (const auto& [token, probability] : expected) {
    const double mean = probability * count;
    const auto found = drawn.find(token);
    const double times = found == drawn.end() ? 0 : found->second;
    if (mean < 5) {
      rest_expected += mean;
      rest_drawn += times;
      continue;
    }
    statistic += (times - mean) * (times - mean) / mean;
    ++cells;
  }
  if (rest_expected > 5) {
    statistic += (rest_drawn - rest_expected) * (rest_drawn - rest_expected) / rest_expected;
    ++cells;
  }
  // Mean cells - 1, variance twice that; five deviations away never happens by chance.
  EXPECT_LT(statistic, cells + 5 * std::sqrt(2.0 * cells) + 5);
}

TEST(PhiloxTest, KnownAnswers) {
  // Of the authors' distribution (Random123, kat_vectors, philox4x32 10).
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}),
            (std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}),
            (std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (std::array<uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(SoftmaxTest, MatchesDoublePrecision) {
  Dice dice(1);
  for (const int size : {1, 3, 4, 17, 1024, 1027, 5000}) {
    const auto logits = random_logits(dice, size, 8);
    const float max = *std::max_element(logits.begin(), logits.end());
    EXPECT_EQ(max_value(logits), max);
    std::vector<float> weights(logits.size());
    std::vector<double> sums;
    const double total = exp_weights(logits, max, 0.7f, weights, sums);
    double expected_total = 0;
    double expected_raw = 0;
    for (size_t i = 0; i < logits.size(); ++i) {
      const double argument = (double{logits[i]} - max) * double{0.7f};  // rounded to float by the fast one
      const double expected = std::exp(argument);
      EXPECT_NEAR(weights[i], expected, (3e-7 - 1.2e-7 * argument) * expected);
      expected_total += expected;
      expected_raw += std::exp(double{logits[i]} - max);
    }
    EXPECT_NEAR(total, expected_total, 2e-6 * expected_total);
    EXPECT_NEAR(log_sum_exp(logits, max), std::log(expected_raw), 2e-6);
  }
}

TEST(SoftmaxTest, ExtremesAreHarmless) {
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> logits = {-infinity, 3, std::nanf(""), -1e30f, 3};
  EXPECT_EQ(max_value(logits), 3);
  EXPECT_EQ(max_value(std::vector<float>{}), -infinity);
  std::vector<float> weights(5);
  std::vector<double> sums;
  EXPECT_EQ(exp_weights(logits, 3, 1, weights, sums), 2);
  EXPECT_EQ(count_before(logits, 1), 0);
  EXPECT_EQ(count_before(logits, 4), 1);
}

TEST(TopSelectionTest, EqualsASort) {
  Dice dice(2);
  TopSelection selection;
  std::vector<Candidate> selected;
  for (int i = 0; i < 300; ++i) {
    std::vector<float> values;
    for (int n = dice.between(1, 2000); n > 0; --n)
      values.push_back(static_cast<float>(dice.below(dice.one_in(2) ? 20 : 100000)));
    if (dice.one_in(4)) std::fill(values.begin(), values.end(), 1.0f);
    std::vector<Candidate> expected;
    for (size_t j = 0; j < values.size(); ++j) expected.push_back({values[j], static_cast<TokenId>(j), 0});
    std::sort(expected.begin(), expected.end(), goes_before);
    const int count = dice.between(0, 100);
    selection.select(values, count, selected);
    ASSERT_EQ(selected.size(), std::min(expected.size(), static_cast<size_t>(count)));
    for (size_t j = 0; j < selected.size(); ++j) ASSERT_EQ(selected[j].id, expected[j].id);
  }
}

TEST(KeepMassTest, EqualsASort) {
  Dice dice(4);
  for (int i = 0; i < 300; ++i) {
    std::vector<Candidate> candidates;
    const int size = dice.between(1, 3000);
    int total = 0;
    for (int id = 0; id < size; ++id) {
      const int weight = dice.between(1, 50);  // integers: sums are exact in any order
      candidates.push_back(
          {static_cast<float>(dice.below(dice.one_in(2) ? 10 : 10000)), id, static_cast<float>(weight)});
      total += weight;
    }
    std::vector<Candidate> expected = candidates;
    std::sort(expected.begin(), expected.end(), goes_before);
    const double mass = dice.between(1, total);
    double left = mass;
    size_t count = 0;
    while (left > 0) left -= expected[count++].weight;
    keep_mass(candidates, mass);
    ASSERT_EQ(candidates.size(), count);
    std::set<TokenId> ids;
    for (const Candidate& candidate : candidates) ids.insert(candidate.id);
    for (size_t j = 0; j < count; ++j) ASSERT_TRUE(ids.count(expected[j].id));
  }
}

TEST(SamplerTest, GreedyTakesTheLowestOfTies) {
  const std::vector<float> logits = {1, 5, 2, 5, 5};
  SamplingParams params;
  params.temperature = 0;
  EXPECT_EQ(*Sampler().sample(input_for(logits, params, 0)), 1);
}

TEST(SamplerTest, DrawsFollowTheDistribution) {
  Dice dice(11);
  for (int i = 0; i < 60; ++i) {
    const auto logits = random_logits(dice, dice.between(2, 300), 2.5f);
    SamplingParams params;
    params.seed = static_cast<uint64_t>(i);
    params.temperature = 0.5f + 0.25f * static_cast<float>(dice.below(4));
    if (dice.one_in(2)) params.top_k = dice.between(1, 50);
    if (dice.one_in(2)) params.top_p = 0.35f + 0.1f * static_cast<float>(dice.below(7));
    if (dice.one_in(3)) params.min_p = 0.02f;
    if (dice.one_in(3)) params.typical_p = 0.7f;
    const int count = 4000;
    expect_distribution(draw(logits, params, count), reference(logits, params), count);
    if (HasFailure()) {
      ADD_FAILURE() << "case " << i << ": temperature " << params.temperature << ", top_k " << params.top_k
                    << ", top_p " << params.top_p << ", min_p " << params.min_p << ", typical_p " << params.typical_p;
      return;
    }
  }
}

TEST(SamplerTest, LargeVocabularyFollowsTheDistribution) {
  Dice dice(12);
  const auto logits = random_logits(dice, 50000, 3);
  for (const float top_p : {1.0f, 0.9f, 0.3f}) {
    SamplingParams params;
    params.top_p = top_p;
    auto expected = reference(logits, params);
    const auto drawn = draw(logits, params, 300);
    double likely = 0;
    int likely_drawn = 0;
    std::vector<std::pair<double, TokenId>> order;
    for (const auto& [token, probability] : expected) order.emplace_back(-probability, token);
    std::sort(order.begin(), order.end());
    for (size_t i = 0; i < order.size() / 20; ++i) {
      likely -= order[i].first;
      const auto found = drawn.find(order[i].second);
      likely_drawn += found == drawn.end() ? 0 : found->second;
    }
    for (const auto& [token, times] : drawn) EXPECT_TRUE(expected.count(token));
    EXPECT_NEAR(likely_drawn / 300.0, likely, 5 * std::sqrt(likely * (1 - likely) / 300) + 0.01);
  }
}

TEST(SamplerTest, TheDrawDependsOnSeedChoiceAndPositionAlone) {
  Dice dice(13);
  const auto logits = random_logits(dice, 200, 1);
  SamplingParams params;
  params.seed = 7;
  const auto first = draw(logits, params, 100);
  EXPECT_EQ(first, draw(logits, params, 100));
  params.seed = 8;
  EXPECT_NE(first, draw(logits, params, 100));
  SampleInput input = input_for(logits, params, 3);
  Sampler sampler;
  std::set<TokenId> tokens;
  for (uint32_t choice = 0; choice < 20; ++choice) {
    input.choice = choice;
    tokens.insert(*sampler.sample(input));
  }
  EXPECT_GT(tokens.size(), 5u);
}

TEST(SamplerTest, BiasAndPenalties) {
  const std::vector<float> logits = {2, 1, -1, 0};
  SamplingParams params;
  params.temperature = 0;
  params.logit_bias = {{2, 4.0f}};
  Sampler sampler;
  EXPECT_EQ(*sampler.sample(input_for(logits, params, 0)), 2);

  params = {};
  params.repetition_penalty = 2;
  params.presence_penalty = 0.5f;
  params.frequency_penalty = 0.25f;
  TokenHistory history(params, std::vector<TokenId>{0, 2});
  history.add(1);
  history.add(1);
  std::vector<float> penalized = logits;
  history.penalize(params, penalized);
  EXPECT_EQ(penalized, (std::vector<float>{1, 0.5f - 0.5f - 0.5f, -2, 0}));
}

TEST(SamplerTest, MasksAndBans) {
  const std::vector<float> logits = {4, 3, 2, 1};
  SamplingParams params;
  params.temperature = 0;
  Sampler sampler;
  SampleInput input = input_for(logits, params, 0);
  std::vector<uint64_t> allowed = {0b1010};
  input.allowed = &allowed;
  EXPECT_EQ(*sampler.sample(input), 1);
  const std::vector<TokenId> banned = {1, 1};
  input.banned = banned;
  EXPECT_EQ(*sampler.sample(input), 3);
  allowed = {0b0010};
  EXPECT_EQ(*sampler.sample(input), 1);  // nothing else is allowed
  allowed = {0};
  EXPECT_EQ(sampler.sample(input).status().code(), Code::kInternal);
}

TEST(SamplerTest, LogitsThatAreNoNumbersAreAnError) {
  SamplingParams params;
  Sampler sampler;
  const std::vector<float> none(10, std::nanf(""));
  const std::vector<float> infinite = {1, std::numeric_limits<float>::infinity()};
  EXPECT_FALSE(sampler.sample(input_for(none, params, 0)).ok());
  EXPECT_FALSE(sampler.sample(input_for(infinite, params, 0)).ok());
}

TEST(SamplerTest, LogprobsRanksAndTies) {
  const std::vector<float> logits = {1, 3, 3, 0, 2};
  double sum = 0;
  for (const float logit : logits) sum += std::exp(double{logit});
  Sampler sampler;
  const PositionLogprobs result = sampler.logprobs(logits, 2, 3);
  EXPECT_EQ(result.chosen.token, 2);
  EXPECT_NEAR(result.chosen.logprob, 3 - std::log(sum), 1e-6);
  EXPECT_EQ(result.rank, 2);
  ASSERT_EQ(result.top.size(), 3u);
  EXPECT_EQ(result.top[0].token, 1);
  EXPECT_EQ(result.top[1].token, 2);
  EXPECT_EQ(result.top[2].token, 4);
  EXPECT_NEAR(result.top[2].logprob, 2 - std::log(sum), 1e-6);
  EXPECT_TRUE(sampler.logprobs(logits, 0, 0).top.empty());
  EXPECT_EQ(sampler.logprobs(logits, 0, 100).top.size(), 5u);
}

}  // namespace
}  // namespace strata
