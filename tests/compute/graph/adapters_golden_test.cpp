// Proof (iii) of the graph: two adapters of different ranks and modules, and none, in one batch.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "compute/graph/passes/adapters.h"
#include "model/adapter_stack.h"
#include "support/model_fixture.h"
#include "test_data.h"

namespace strata {
namespace {

using nlohmann::json;

struct Golden {
  std::vector<int32_t> ids;
  std::vector<float> logits;
  double range = 1;
};

std::vector<Golden> read_golden(const std::filesystem::path& file) {
  std::vector<Golden> out;
  for (const json& prompt : json::parse(test::read_text(file))["prompts"]) {
    out.push_back({prompt["ids"].get<std::vector<int32_t>>(), prompt["last_logits"].get<std::vector<float>>(),
                   prompt["logit_range"].get<double>()});
  }
  return out;
}

TEST(Adapters, TwoAdaptersAndNoneShareABatch) {
  STRATA_REQUIRE_DATA("golden-arch/llama");
  const std::filesystem::path folder = test::shared_data() / "golden-arch/llama";
  const std::filesystem::path second_folder = test::source_dir() / "tests/data/lora/second";
  test::ModelFixture model(folder, {});
  ASSERT_TRUE(model.ok());
  const auto first = LoraAdapter::open(folder / "lora");
  const auto second = LoraAdapter::open(second_folder);
  ASSERT_TRUE(first.ok()) << first.status().message();
  ASSERT_TRUE(second.ok()) << second.status().message();
  const CheckpointWeights weights(model.checkpoint());
  const auto stack = AdapterStack::make(weights, {&*first, &*second});
  ASSERT_TRUE(stack.ok()) << stack.status().message();
  const std::vector<Golden> goldens[] = {read_golden(folder / "lora/golden.json"),
                                         read_golden(second_folder / "golden.json"),
                                         read_golden(folder / "golden.json")};
  std::vector<std::vector<float>> bare;
  for (const Golden& golden : goldens[2]) bare.push_back(model.prefill(golden.ids));

  WeightBinder binder(*stack, model.pool());
  const Graph adapted = add_adapters(model.graph(), stack->targets(), 2);
  const auto plan = Plan::make(lower_for_inference(adapted, model.kernels(), DType::kF32), model.kernels(), binder,
                               test::maxima(256));
  ASSERT_TRUE(plan.ok()) << plan.status().message();
  ExecutionContext context(*plan, model.pool());
  const test::CacheMemory cache(context, 64);
  for (size_t prompt = 0; prompt < goldens[0].size(); ++prompt) {
    test::BatchBuilder builder(16);
    for (int s = 0; s < 3; ++s) {
      const Golden& golden = goldens[s][prompt];
      builder.add(golden.ids, {s, 0, static_cast<int64_t>(golden.ids.size()), 1, s < 2 ? s : -1});
    }
    context.run(builder.batch());
    const std::span<float> logits = context.output("logits");
    for (int s = 0; s < 3; ++s) {
      const Golden& golden = goldens[s][prompt];
      const float* row = logits.data() + static_cast<size_t>(s) * golden.logits.size();
      double worst = 0;
      for (size_t i = 0; i < golden.logits.size(); ++i)
        worst = std::max(worst, std::abs(static_cast<double>(row[i]) - golden.logits[i]));
      EXPECT_LE(worst, 1e-4 * golden.range) << "adapter " << s << ", prompt " << prompt;
    }
    // Rows without an adapter keep the bits of the model without adapters.
    EXPECT_EQ(
        std::memcmp(logits.data() + 2 * bare[prompt].size(), bare[prompt].data(), bare[prompt].size() * sizeof(float)),
        0);
  }
}

}  // namespace
}  // namespace strata
