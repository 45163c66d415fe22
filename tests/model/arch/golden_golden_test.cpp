// Whole models against what transformers computed (golden-arch) and against real trained models.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "golden_models.h"
#include "support/model_fixture.h"
#include "test_data.h"

namespace strata {
namespace {

using nlohmann::json;
using test::ModelFixture;
using test::RunOptions;

double max_error(const std::vector<float>& got, const std::vector<float>& want) {
  double worst = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    const double error = std::abs(static_cast<double>(got[i]) - want[i]);
    if (!(error <= worst)) worst = error;  // NaN too
  }
  return worst;
}

struct Case {
  test::GoldenModel model;
  std::string isa;
};

std::string case_name(const testing::TestParamInfo<Case>& info) {
  std::string name = info.param.model.name + "_" + info.param.isa;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

class GoldenArch : public testing::TestWithParam<Case> {};

TEST_P(GoldenArch, LogitsAndGreedyIdsAgree) {
  STRATA_REQUIRE_GOLDEN(GetParam().model);
  const std::filesystem::path folder = GetParam().model.folder();
  RunOptions options;
  options.isa = GetParam().isa;
  ModelFixture model(folder, options);
  ASSERT_TRUE(model.ok());
  const json golden = json::parse(test::read_text(folder / "golden.json"));
  for (const json& prompt : golden["prompts"]) {
    const auto ids = prompt["ids"].get<std::vector<int32_t>>();
    const double error = max_error(model.prefill(ids), prompt["last_logits"].get<std::vector<float>>()) /
                         prompt["logit_range"].get<double>();
    RecordProperty("relative_error", std::to_string(error));
    EXPECT_LE(error, 1e-4) << "max |logit error| / range";
    EXPECT_EQ(model.greedy(ids, 32), prompt["greedy_ids"].get<std::vector<int32_t>>());
  }
}

std::vector<Case> golden_cases() {
  std::vector<Case> cases;
  for (const test::GoldenModel& model :
       test::golden_models({"llama", "mistral", "qwen2", "qwen3", "qwen3-moe", "mixtral", "gemma2", "gpt2", "gpt-oss",
                            "olmo2", "phi3-longrope", "deepseek-v3"},
                           {"cohere",
                            "cohere2",
                            "deepseek-v2",
                            "deepseek-v2-lite",
                            "falcon-7b",
                            "falcon-40b",
                            "falcon-rw",
                            "gemma3",
                            "gemma3-text-part",
                            "glm",
                            "glm4",
                            "gpt-neox",
                            "gpt-neox-sequential",
                            "granite",
                            "granitemoe",
                            "granitemoe-shared",
                            "nemotron",
                            "olmoe",
                            "phi",
                            "qwen2-moe",
                            "smollm3",
                            "stablelm",
                            "stablelm-parallel",
                            "starcoder2"})) {
    for (const char* isa : {"reference", "generic", "avx2", "avx512"}) {
      if (find_cpu_kernels(isa) != nullptr) cases.push_back({model, isa});
    }
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Models, GoldenArch, testing::ValuesIn(golden_cases()), case_name);

class TrainedModel : public testing::TestWithParam<Case> {};

TEST_P(TrainedModel, GreedyIdsAndLogitsAgree) {
  const std::string& name = GetParam().model.name;
  const std::string file = "models/" + name + ".gguf";
  STRATA_REQUIRE_DATA(file);
  RunOptions options;
  options.isa = GetParam().isa;
  options.blocks_per_sequence = 32;
  ModelFixture model(test::shared_data() / file, options);
  ASSERT_TRUE(model.ok());
  const json golden = json::parse(test::read_text(test::shared_data() / "models" / (name + ".reference.json")));
  const auto ids = golden["greedy_ids"].get<std::vector<int32_t>>();
  const std::vector<int32_t> got = model.greedy({ids[0]}, static_cast<int64_t>(ids.size()) - 1);
  EXPECT_EQ(got, std::vector<int32_t>(ids.begin() + 1, ids.end()));

  const std::vector<float> logits = model.prefill({ids.begin(), ids.begin() + 4}, 4);
  const json& rows = golden["logits_positions_0_to_3"];
  for (size_t row = 0; row < rows.size(); ++row) {
    const auto want = rows[row].get<std::vector<float>>();
    const auto [low, high] = std::minmax_element(want.begin(), want.end());
    const auto begin = logits.begin() + static_cast<std::ptrdiff_t>(row * want.size());
    const std::vector<float> part(begin, begin + static_cast<std::ptrdiff_t>(want.size()));
    EXPECT_LE(max_error(part, want), 1e-4 * (*high - *low)) << "position " << row;
  }
}

std::vector<Case> trained_cases() {
  std::vector<Case> cases;
  for (const char* model : {"stories260k", "llama2xs-280k"}) {
    for (const char* isa : {"reference", "generic", "avx2", "avx512"}) {
      if (find_cpu_kernels(isa) != nullptr) cases.push_back({{test::shared_data() / "models", model}, isa});
    }
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Models, TrainedModel, testing::ValuesIn(trained_cases()), case_name);

}  // namespace
}  // namespace strata
