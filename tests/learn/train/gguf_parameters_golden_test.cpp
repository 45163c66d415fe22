// GGUF files of folders of real architectures: what is trained of them is what is trained of the folder.
#include "learn/train/gguf_parameters.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "learn/train/trainer.h"
#include "model/checkpoint_weights.h"
#include "model/format/published_weights.h"
#include "model/format/quantize.h"
#include "support/training_batch.h"
#include "test_data.h"

namespace strata {
namespace {

namespace fs = std::filesystem;

struct Trained {
  BuiltModel built;
  Parameters parameters;
};

class GgufParametersGolden : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    STRATA_REQUIRE_DATA(std::string("golden-arch/") + GetParam());
    source_ = test::shared_data() / "golden-arch" / GetParam();
    file_ = fs::path(testing::TempDir()) / ("parameters_" + std::string(GetParam()) + ".gguf");
  }
  void TearDown() override { fs::remove(file_); }

  static Trained of_folder(const fs::path& folder) {
    const Checkpoint checkpoint = *Checkpoint::open(folder);
    BuiltModel built = *build_model(checkpoint);
    Parameters parameters = *Parameters::copy(built.graph, CheckpointWeights(checkpoint));
    return {std::move(built), std::move(parameters)};
  }

  Trained of_gguf(const char* type) {
    const auto made = quantize_file(source_, file_, type, pool_);
    EXPECT_TRUE(made.ok()) << made.status().message();
    const Checkpoint checkpoint = *Checkpoint::open(file_);
    const auto config = published_config(checkpoint);
    EXPECT_TRUE(config.ok()) << config.status().message();
    auto built = build_new_model(ConfigView(*config, "config.json"));
    EXPECT_TRUE(built.ok()) << built.status().message();
    auto parameters = gguf_parameters(checkpoint, *config, *built);
    EXPECT_TRUE(parameters.ok()) << parameters.status().message();
    return {*std::move(built), *std::move(parameters)};
  }

  ThreadPool pool_{2};
  fs::path source_, file_;
};

std::vector<float> numbers(const Parameter& parameter) {
  return {parameter.values().begin(), parameter.values().end()};
}

TEST_P(GgufParametersGolden, AreThoseOfTheFolder) {
  const Trained folder = of_folder(source_);
  for (const char* type : {"F32", "BF16", "F16"}) {
    SCOPED_TRACE(type);
    const Trained gguf = of_gguf(type);
    ASSERT_EQ(gguf.parameters.all().size(), folder.parameters.all().size());
    for (size_t i = 0; i < gguf.parameters.all().size(); ++i) {
      const Parameter &got = gguf.parameters.all()[i], &want = folder.parameters.all()[i];
      ASSERT_EQ(got.name, want.name);
      ASSERT_EQ(got.shape, want.shape);
      const std::vector<float> a = numbers(got), b = numbers(want);
      const float tolerance = std::string(type) == "F32" ? 1e-6F : std::string(type) == "F16" ? 1e-3F : 8e-3F;
      for (size_t at = 0; at < a.size(); ++at)
        ASSERT_NEAR(a[at], b[at], tolerance * std::max(1.0F, std::abs(b[at]))) << got.name << " " << at;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, GgufParametersGolden,
                         testing::Values("llama", "mistral", "qwen2", "qwen3", "mixtral", "qwen3-moe", "olmo2", "gpt2",
                                         "phi3-longrope"),
                         [](const auto& tested) {
                           std::string name = tested.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

// A tensor that config.json does not tell of is never left out in silence.
TEST(GgufWeights, WithoutAPlaceAreNamed) {
  STRATA_REQUIRE_DATA("golden-arch");
  ThreadPool pool(1);
  const fs::path file = fs::path(testing::TempDir()) / "without_a_place.gguf";
  ASSERT_TRUE(quantize_file(test::shared_data() / "golden-arch/deepseek-v3", file, "F32", pool).ok());
  const Checkpoint gguf = *Checkpoint::open(file);
  const nlohmann::json config = *published_config(gguf);
  const BuiltModel built = *build_new_model(ConfigView(config, "config.json"));
  const auto parameters = gguf_parameters(gguf, config, built);
  ASSERT_FALSE(parameters.ok());
  EXPECT_NE(parameters.status().message().find("exp_probs_b"), std::string::npos) << parameters.status().message();
  fs::remove(file);
}

// Three steps with the same bits, the weights as F32 and, of a folder that has such numbers, as F16 and BF16.
TEST(GgufTraining, GivesTheBitsOfTheFolder) {
  STRATA_REQUIRE_DATA("golden-arch");
  for (const char* name : {"llama", "qwen3", "mixtral"}) {
    const fs::path folder = test::shared_data() / "golden-arch" / name;
    const auto golden = nlohmann::json::parse(test::read_text(folder / "train.json"));
    const test::TrainingBatch rows(golden["ids"]);
    ThreadPool pool(2);
    const auto train = [&](const Graph& graph, Parameters& parameters) {
      TrainerOptions options;
      options.max_tokens = 64;
      options.max_norm = 1;
      auto trainer = Trainer::make(graph, parameters, *find_cpu_kernels(), pool, options);
      EXPECT_TRUE(trainer.ok()) << trainer.status().message();
      for (int step = 0; step < 3; ++step) {
        (*trainer)->begin(1);
        (*trainer)->accumulate(rows.batch());
        (*trainer)->apply(1e-3, (*trainer)->gradient_norm());
      }
    };
    const Checkpoint published = *Checkpoint::open(folder);
    for (const char* type : {"F32", "F16", "BF16"}) {
      SCOPED_TRACE(std::string(name) + " " + type);
      const fs::path file = fs::path(testing::TempDir()) / (std::string("trained_") + name + type + ".gguf");
      ASSERT_TRUE(quantize_file(folder, file, type, pool).ok());
      const Checkpoint gguf = *Checkpoint::open(file);
      const nlohmann::json config = *published_config(gguf);
      BuiltModel from_file = *build_new_model(ConfigView(config, "config.json"));
      Parameters of_file = *gguf_parameters(gguf, config, from_file);
      BuiltModel from_folder = *build_model(published);
      Parameters of_folder = *Parameters::copy(from_folder.graph, CheckpointWeights(published));
      for (size_t i = 0; i < of_file.all().size(); ++i) {  // the numbers that this type can have
        const auto from = of_file.all()[i].values();
        std::copy(from.begin(), from.end(), of_folder.all()[i].values().begin());
      }
      train(from_folder.graph, of_folder);
      train(from_file.graph, of_file);
      for (size_t i = 0; i < of_file.all().size(); ++i)
        ASSERT_EQ(numbers(of_file.all()[i]), numbers(of_folder.all()[i])) << of_file.all()[i].name;
      fs::remove(file);
    }
  }
}

}  // namespace
}  // namespace strata
