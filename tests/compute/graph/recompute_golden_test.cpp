// Recomputation changes no bit of a whole model's gradients, whatever is recomputed and with any number of threads.
#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "compute/graph/passes/add_loss.h"
#include "compute/graph/passes/differentiate.h"
#include "compute/graph/passes/fp32_weights.h"
#include "compute/graph/passes/fuse.h"
#include "compute/graph/passes/lower_attention.h"
#include "compute/graph/passes/recompute.h"
#include "compute/graph/verify.h"
#include "support/model_fixture.h"
#include "support/training_batch.h"
#include "test_data.h"

namespace strata {
namespace {

using nlohmann::json;
using Outputs = std::map<std::string, std::vector<float>>;

class RecomputeGolden : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    STRATA_REQUIRE_DATA(std::string("golden-arch/") + GetParam());
    const std::filesystem::path folder = test::shared_data() / "golden-arch" / GetParam();
    checkpoint_ = std::make_unique<Checkpoint>(*Checkpoint::open(folder));
    const BuiltModel built = *build_model(*checkpoint_);
    backward_ = *differentiate(add_loss(with_fp32_weights(built.graph)));
    const json golden = json::parse(test::read_text(folder / "golden.json"));
    rows_ = json::array();
    for (const json& prompt : golden["prompts"]) rows_.push_back(prompt["ids"]);
  }

  Outputs run(const Graph& differentiated, int threads) {
    const Graph lowered = fuse(lower_attention_segments(differentiated));
    EXPECT_TRUE(verify(lowered).ok()) << verify(lowered).message();
    const test::TrainingBatch batch(rows_);
    ThreadPool pool(threads);
    const CheckpointWeights weights(*checkpoint_);
    WeightBinder binder(weights, pool);
    const auto plan = Plan::make(lowered, *find_cpu_kernels(), binder, test::maxima(batch.batch().tokens()));
    EXPECT_TRUE(plan.ok()) << plan.status().message();
    arena_bytes_ = (*plan)->arena_bytes();
    ExecutionContext context(*plan, pool);
    context.run(batch.batch());
    Outputs outputs;
    for (const NamedValue& output : lowered.outputs()) {
      const std::span<const float> values = context.output(output.name);
      outputs[output.name].assign(values.begin(), values.end());
    }
    return outputs;
  }

  std::unique_ptr<Checkpoint> checkpoint_;
  Graph backward_;
  json rows_;
  size_t arena_bytes_ = 0;
};

TEST_P(RecomputeGolden, ChangesNoBit) {
  const Outputs want = run(backward_, 1);
  const size_t plain_bytes = arena_bytes_;
  ASSERT_GT(want.size(), size_t{5});
  const auto n_layers = static_cast<size_t>(count_layers(backward_));
  ASSERT_GE(n_layers, size_t{2});
  std::vector<Recomputed> mixed(n_layers, Recomputed::kRows);
  mixed.front() = Recomputed::kAll;
  mixed.back() = Recomputed::kNothing;
  for (const std::vector<Recomputed>& of_layer :
       {mixed, std::vector(n_layers, Recomputed::kRows), std::vector(n_layers, Recomputed::kAll)}) {
    const Graph graph = recompute(backward_, of_layer);
    for (const int threads : {1, 2, 3}) {
      const Outputs got = run(graph, threads);
      ASSERT_EQ(got.size(), want.size());
      for (const auto& [name, values] : want) {
        ASSERT_EQ(got.at(name).size(), values.size()) << name;
        EXPECT_EQ(std::memcmp(got.at(name).data(), values.data(), values.size() * sizeof(float)), 0)
            << name << " with " << threads << " threads";
      }
    }
    EXPECT_LT(arena_bytes_, plain_bytes);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, RecomputeGolden,
                         testing::Values("llama", "qwen3", "mixtral", "gemma2", "gpt2", "gpt-oss", "deepseek-v3"),
                         [](const auto& tested) {
                           std::string name = tested.param;
                           for (char& c : name) c = c == '-' ? '_' : c;
                           return name;
                         });

}  // namespace
}  // namespace strata
