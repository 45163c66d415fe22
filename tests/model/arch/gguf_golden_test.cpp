// Folders of transformers written as GGUF and read back: the same logits and greedy ids as the folder's golden.
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "model/format/quantize.h"
#include "support/model_fixture.h"
#include "test_data.h"

namespace strata {
namespace {

using nlohmann::json;
using test::ModelFixture;

// A folder of the shared data, or of tests/data/arch.
class GgufGolden : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(folder_)) STRATA_REQUIRE_DATA(std::string("golden-arch/") + GetParam());
    if (!std::filesystem::exists(folder_)) folder_ = test::shared_data() / "golden-arch" / GetParam();
  }
  void TearDown() override { std::filesystem::remove(file_); }

  std::filesystem::path folder_ = test::source_dir() / "tests/data/arch" / GetParam();
  std::filesystem::path file_ =
      std::filesystem::temp_directory_path() / ("strata-gguf-" + std::string(GetParam()) + ".gguf");
};

TEST_P(GgufGolden, LogitsAndGreedyIdsComeBack) {
  ThreadPool pool(1);
  const auto written = quantize_file(folder_, file_, "F32", pool);
  ASSERT_TRUE(written.ok()) << written.status().message();
  ModelFixture model(file_, {});
  ASSERT_TRUE(model.ok());
  const json golden = json::parse(test::read_text(folder_ / "golden.json"));
  for (const json& prompt : golden["prompts"]) {
    const auto ids = prompt["ids"].get<std::vector<int32_t>>();
    const auto want = prompt["last_logits"].get<std::vector<float>>();
    const std::vector<float> got = model.prefill(ids);
    ASSERT_EQ(got.size(), want.size());
    double error = 0;
    for (size_t i = 0; i < want.size(); ++i) {
      error = std::max(error, std::abs(static_cast<double>(got[i]) - want[i]));
    }
    EXPECT_LE(error, 1e-4 * prompt["logit_range"].get<double>());
    EXPECT_EQ(model.greedy(ids, 32), prompt["greedy_ids"].get<std::vector<int32_t>>());
  }
}

INSTANTIATE_TEST_SUITE_P(Models, GgufGolden,
                         testing::Values("llama", "mistral", "mixtral", "qwen2", "qwen3", "qwen3-moe", "gemma2",
                                         "olmo2", "gpt2", "gpt-oss", "phi3-longrope", "deepseek-v3", "cohere",
                                         "cohere2", "deepseek-v2", "deepseek-v2-lite", "falcon-40b", "falcon-7b",
                                         "falcon-rw", "gemma3", "gemma3-text-part", "glm", "glm4", "gpt-neox",
                                         "gpt-neox-sequential", "granite", "granitemoe", "granitemoe-shared",
                                         "nemotron", "olmoe", "phi", "qwen2-moe", "smollm3", "stablelm",
                                         "stablelm-parallel", "starcoder2"),
                         [](const auto& tested) {
                           std::string name = tested.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace strata
