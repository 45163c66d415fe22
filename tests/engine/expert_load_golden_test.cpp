// A real model with experts: what its runner counts is what the router chose.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "base/thread_pool.h"
#include "engine/model_runner.h"
#include "support/model_fixture.h"
#include "test_data.h"

namespace strata {
namespace {

// Tokens of each expert of the layer whose weights are named so, in the last run of a runner that keeps matmul inputs.
std::vector<int> tokens_of_experts(ModelRunner& runner, const std::string& weight) {
  const std::span<const int32_t> begin = runner.context().output_integers("begin:" + weight);
  std::vector<int> tokens;
  for (size_t e = 0; e + 1 < begin.size(); ++e) tokens.push_back(begin[e + 1] - begin[e]);
  return tokens;
}

TEST(ExpertLoad, CountsTheTokensThatEachExpertIsGiven) {
  constexpr const char* kData = "golden-arch/mixtral";
  constexpr int kTokens = 40;
  STRATA_REQUIRE_DATA(kData);
  const Result<std::unique_ptr<Model>> model = Model::load(test::shared_data() / kData);
  ASSERT_TRUE(model.ok()) << model.status().message();
  ThreadPool pool(2);
  RunnerOptions options;
  options.keep_matmul_inputs = true;
  const auto runner = ModelRunner::make(**model, *find_cpu_kernels(), pool, options);
  ASSERT_TRUE(runner.ok()) << runner.status().message();
  const ExpertLoad* load = (*runner)->expert_load();
  ASSERT_NE(load, nullptr);
  ASSERT_GT(load->n_layers(), 0);

  std::vector<int32_t> ids;
  for (int i = 0; i < kTokens; ++i) ids.push_back((i * 37 + 5) % 200);
  std::vector<int> all;  // of layer 0, by the groups that its matmuls used
  for (const auto& [begin, end] : {std::array{0, 25}, std::array{25, kTokens}}) {
    test::BatchBuilder builder(4);
    builder.add(ids, {0, begin, end, 1});
    ASSERT_TRUE((*runner)->run(builder.batch()).ok());
    std::vector<int> step;
    for (const PlanOutput& output : (*runner)->plan().outputs()) {
      if (output.name.starts_with("begin:") && step.empty()) {
        step = tokens_of_experts(**runner, output.name.substr(std::string_view("begin:").size()));
      }
    }
    all.resize(step.size());
    for (size_t e = 0; e < step.size(); ++e) all[e] += step[e];
  }
  int given = 0;
  for (const int tokens : all) given += tokens;
  ASSERT_GT(given, kTokens);  // more than one expert for each
  EXPECT_EQ(load->tokens(), static_cast<uint64_t>(given * load->n_layers()));
  EXPECT_DOUBLE_EQ(load->imbalance(0), static_cast<double>(*std::max_element(all.begin(), all.end())) *
                                           static_cast<double>(all.size()) / given);
}

TEST(ExpertLoad, AModelWithoutExpertsHasNone) {
  constexpr const char* kData = "golden-arch/llama";
  STRATA_REQUIRE_DATA(kData);
  const Result<std::unique_ptr<Model>> model = Model::load(test::shared_data() / kData);
  ASSERT_TRUE(model.ok()) << model.status().message();
  ThreadPool pool(1);
  const auto runner = ModelRunner::make(**model, *find_cpu_kernels(), pool, {});
  ASSERT_TRUE(runner.ok()) << runner.status().message();
  EXPECT_EQ((*runner)->expert_load(), nullptr);
}

}  // namespace
}  // namespace strata
