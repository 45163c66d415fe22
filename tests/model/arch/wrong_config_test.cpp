// Configurations that say something wrong: whatever a field holds, building a model ends in a model or in an error that
// names what is wrong, never in a CHECK.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "compute/graph/passes/pipeline.h"
#include "golden_models.h"
#include "model/arch/architecture.h"

namespace strata {
namespace {

using nlohmann::json;

class WrongConfig : public testing::TestWithParam<test::GoldenModel> {
 protected:
  WrongConfig() : folder_(std::filesystem::path(testing::TempDir()) / ("strata-wrong-config-" + GetParam().name)) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    std::filesystem::create_symlink(GetParam().folder() / "model.safetensors", folder_ / "model.safetensors");
    config_ = json::parse(test::read_text(GetParam().folder() / "config.json"));
  }
  ~WrongConfig() override { std::filesystem::remove_all(folder_); }

  Result<BuiltModel> build() {
    std::ofstream(folder_ / "config.json") << config_.dump();
    Result<Checkpoint> checkpoint = Checkpoint::open(folder_);
    if (!checkpoint.ok()) return checkpoint.status();
    Result<BuiltModel> built = build_model(*checkpoint);
    if (built.ok()) lower_for_inference(built->graph, *find_cpu_kernels("reference"), DType::kF32);
    return built;
  }

  // Puts each wrong value in the place of each field of `object`, a part of config_.
  void break_fields(json& object) {
    const json whole = object;
    for (const auto& [key, value] : whole.items()) {
      if (value.is_object()) break_fields(object[key]);
      for (const json& wrong : {json(nullptr), json(-1), json(0), json(3), json(int64_t{1} << 40), json(0.37),
                                json("x"), json::array(), json::array({3, -1}), json::object()}) {
        object[key] = wrong;
        const Result<BuiltModel> built = build();
        refused_ += built.ok() ? 0 : 1;
        if (!built.ok()) {
          EXPECT_FALSE(built.status().message().empty()) << key << " = " << wrong.dump();
        }
      }
      object[key] = value;
    }
  }

  std::filesystem::path folder_;
  json config_;
  int refused_ = 0;
};

TEST_P(WrongConfig, EndsInAModelOrAnError) {
  ASSERT_TRUE(build().ok());
  break_fields(config_);
  EXPECT_GT(refused_, 40);
}

INSTANTIATE_TEST_SUITE_P(Models, WrongConfig,
                         testing::ValuesIn(test::golden_models(
                             {}, {"cohere", "cohere2", "deepseek-v2", "deepseek-v2-lite", "falcon-40b", "falcon-rw",
                                  "gemma3", "gemma3-text-part", "glm4", "gpt-neox", "granitemoe-shared", "nemotron",
                                  "olmoe", "phi", "qwen2-moe", "smollm3", "stablelm-parallel", "starcoder2",
                                  "roberta", "distilbert-labels", "nomic-bert", "nomic-bert-published",
                                  "modernbert-rerank", "qwen3-embedding"})),
                         [](const auto& tested) {
                           std::string name = tested.param.name;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace strata
