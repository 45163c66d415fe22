// Proof (ii) of the graph: cut in segments that run apart, and sharded over ranks by a pass.
#include <gtest/gtest.h>

#include <cstring>
#include <thread>

#include "compute/comm/communicator.h"
#include "compute/graph/passes/cut.h"
#include "compute/graph/passes/shard.h"
#include "compute/graph/verify.h"
#include "support/model_fixture.h"
#include "test_data.h"

namespace strata {
namespace {

const std::vector<int32_t> kPrompt = {1, 17, 300, 42, 5, 99, 128, 377, 64, 3, 250, 11, 77, 200, 31, 9, 8, 7, 350, 20};

class Partition : public testing::TestWithParam<std::string> {};

TEST_P(Partition, SegmentsRunApartGiveEqualBits) {
  STRATA_REQUIRE_DATA("golden-arch/" + GetParam());
  test::ModelFixture model(test::shared_data() / "golden-arch" / GetParam(), {});
  ASSERT_TRUE(model.ok());
  const std::vector<float> whole = model.prefill(kPrompt, 3);

  const Graph lowered = lower_for_inference(cut_evenly(model.graph(), 2), model.kernels(), DType::kF32);
  ASSERT_TRUE(verify(lowered).ok()) << verify(lowered).message();
  const auto plan = Plan::make(lowered, model.kernels(), model.binder(), test::maxima(64));
  ASSERT_TRUE(plan.ok()) << plan.status().message();
  ASSERT_EQ((*plan)->n_segments(), 2);

  // Two contexts with caches of their own, as on two machines; only the boundary values travel.
  ExecutionContext first(*plan, model.pool());
  ExecutionContext second(*plan, model.pool());
  const test::CacheMemory first_cache(first, 16);
  const test::CacheMemory second_cache(second, 16);
  test::BatchBuilder builder(16);
  builder.add(kPrompt, {0, 0, static_cast<int64_t>(kPrompt.size()), 3});
  const Batch batch = builder.batch();
  first.run_segment(0, batch);
  const auto sent = first.boundary(0, batch);
  ASSERT_FALSE(sent.empty());
  size_t bytes = 0;
  for (const auto& value : sent) bytes += value.size();
  EXPECT_LE(bytes, kPrompt.size() * 64 * sizeof(float) * 2) << "more than the residual stream crosses the cut";
  const auto received = second.boundary(0, batch);
  for (size_t i = 0; i < sent.size(); ++i) {
    ASSERT_EQ(received[i].size(), sent[i].size());
    std::memcpy(received[i].data(), sent[i].data(), sent[i].size());
  }
  second.run_segment(1, batch);
  const std::span<float> logits = second.output("logits");
  ASSERT_EQ(logits.size(), whole.size());
  EXPECT_EQ(std::memcmp(logits.data(), whole.data(), whole.size() * sizeof(float)), 0);
}

TEST_P(Partition, TwoThreadRanksAgreeWithOne) {
  STRATA_REQUIRE_DATA("golden-arch/" + GetParam());
  test::ModelFixture model(test::shared_data() / "golden-arch" / GetParam(), {});
  ASSERT_TRUE(model.ok());
  const std::vector<float> whole = model.prefill(kPrompt, 3);
  const auto [low, high] = std::minmax_element(whole.begin(), whole.end());

  std::vector<std::shared_ptr<const Plan>> plans;
  for (int rank = 0; rank < 2; ++rank) {
    const Result<Graph> sharded = shard_tensor(model.graph(), rank, 2);
    ASSERT_TRUE(sharded.ok()) << sharded.status().message();
    const auto plan = Plan::make(lower_for_inference(*sharded, model.kernels(), DType::kF32), model.kernels(),
                                 model.binder(), test::maxima(64));
    ASSERT_TRUE(plan.ok()) << plan.status().message();
    plans.push_back(*plan);
  }
  std::vector<std::vector<float>> results;
  for (int repeat = 0; repeat < 3; ++repeat) {
    auto ranks = thread_communicators(2);
    std::vector<std::vector<float>> logits(2);
    std::vector<std::jthread> threads;
    for (int rank = 0; rank < 2; ++rank) {
      threads.emplace_back([&, rank] {
        ThreadPool pool(1);
        ExecutionContext context(plans[static_cast<size_t>(rank)], pool, ranks[static_cast<size_t>(rank)].get());
        const test::CacheMemory cache(context, 16);
        test::BatchBuilder builder(16);
        builder.add(kPrompt, {0, 0, static_cast<int64_t>(kPrompt.size()), 3});
        context.run(builder.batch());
        const std::span<float> out = context.output("logits");
        logits[static_cast<size_t>(rank)].assign(out.begin(), out.end());
      });
    }
    threads.clear();
    EXPECT_EQ(logits[0], logits[1]);
    results.push_back(logits[0]);
  }
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(results[0], results[2]);
  double worst = 0;
  for (size_t i = 0; i < whole.size(); ++i)
    worst = std::max(worst, std::abs(static_cast<double>(results[0][i]) - whole[i]));
  RecordProperty("relative_error", std::to_string(worst / (*high - *low)));
  EXPECT_LE(worst, 1e-5 * (*high - *low));
}

// One model for each way weights are held: plain, biased, tied, fused, transposed, alternating, stacked, latent.
INSTANTIATE_TEST_SUITE_P(Models, Partition,
                         testing::Values("llama", "qwen2", "gemma2", "phi3-longrope", "gpt2", "qwen3-moe", "mixtral",
                                         "gpt-oss", "deepseek-v3"),
                         [](const auto& tested) {
                           std::string name = tested.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST(Shard, NamesWhatDoesNotDivide) {
  STRATA_REQUIRE_DATA("golden-arch/llama");
  test::ModelFixture model(test::shared_data() / "golden-arch/llama", {});
  ASSERT_TRUE(model.ok());
  const Result<Graph> sharded = shard_tensor(model.graph(), 0, 3);
  ASSERT_FALSE(sharded.ok());
  EXPECT_NE(sharded.status().message().find("heads do not divide over 3 ranks"), std::string::npos)
      << sharded.status().message();
}

}  // namespace
}  // namespace strata
