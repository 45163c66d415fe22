// Models at a narrower width: by the pass over their graph, as a checkpoint of their own, and as a GGUF file of that.
#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "compute/graph/verify.h"
#include "model/format/quantize.h"
#include "model/model.h"
#include "model/width.h"
#include "support/model_fixture.h"
#include "test_data.h"

namespace strata {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using test::ModelFixture;

const std::vector<int32_t> kPrompt = {1, 17, 30, 42, 5, 9, 28, 37, 64, 3, 25, 11, 7, 20, 31, 9, 8, 7, 35, 20};

// A folder of the shared data, or of tests/data/arch, whose config.json says widths: half and a quarter of its own.
class Width : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    fs::path from = test::source_dir() / "tests/data/arch" / GetParam();
    if (!fs::exists(from)) STRATA_REQUIRE_DATA(std::string("golden-arch/") + GetParam());
    if (!fs::exists(from)) from = test::shared_data() / "golden-arch" / GetParam();
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    for (const auto& file : fs::directory_iterator(from)) {
      const std::string name = file.path().filename();
      if (name != "config.json") fs::create_symlink(fs::absolute(file.path()), folder_ / name);
    }
    config_ = json::parse(test::read_text(from / "config.json"));
    for (const char* field : {"moe_intermediate_size", "intermediate_size", "n_inner"}) {
      if (full_ == 0 && config_.contains(field)) full_ = config_[field], field_ = field;
    }
    write(json::array({full_ / 4, full_ / 2}));
  }
  void TearDown() override { fs::remove_all(folder_); }

  void write(const json& widths) {
    config_["widths"] = widths;
    std::ofstream(folder_ / "config.json") << config_.dump();
  }
  static std::vector<float> logits_of(const fs::path& path) {
    ModelFixture model(path, {});
    return model.ok() ? model.prefill(kPrompt, 4) : std::vector<float>{};
  }

  fs::path folder_ = fs::path(testing::TempDir()) / ("width_" + std::string(GetParam()));
  json config_;
  int64_t full_ = 0;
  std::string field_;
};

TEST_P(Width, AllFormsOfTheNarrowModelAgree) {
  const int64_t width = full_ / 2;
  ModelFixture whole(folder_, {});
  ASSERT_TRUE(whole.ok());
  ASSERT_EQ(whole.config().widths.full, full_);
  const std::vector<float> of_whole = whole.prefill(kPrompt, 4);
  const Result<Graph> narrow = graph_at_width(whole.graph(), whole.config().widths, width);
  ASSERT_TRUE(narrow.ok()) << narrow.status().message();
  EXPECT_TRUE(verify(*narrow).ok()) << verify(*narrow).message();
  whole.use(lower_for_inference(*narrow, whole.kernels(), DType::kF32));
  const std::vector<float> by_pass = whole.prefill(kPrompt, 4);
  EXPECT_NE(by_pass, of_whole);

  // An ordinary model whose configuration says the width. Its graph is what the architecture writes for that.
  Result<Checkpoint> stored = checkpoint_at_width(*Checkpoint::open(folder_), width);
  ASSERT_TRUE(stored.ok()) << stored.status().message();
  EXPECT_EQ(stored->config().json()[field_], width);
  EXPECT_EQ(stored->config().json()["widths"], json::array({full_ / 4}));
  const CheckpointWeights weights(*stored);
  const Result<BuiltModel> built = build_model(*stored);
  ASSERT_TRUE(built.ok()) << built.status().message();
  WeightBinder binder(weights, whole.pool());
  const auto plan = Plan::make(lower_for_inference(built->graph, whole.kernels(), DType::kF32), whole.kernels(), binder,
                               test::maxima(64));
  ASSERT_TRUE(plan.ok()) << plan.status().message();
  ExecutionContext context(*plan, whole.pool());
  const test::CacheMemory cache(context, 16);
  test::BatchBuilder batch(16);
  batch.add(kPrompt, {0, 0, static_cast<int64_t>(kPrompt.size()), 4});
  context.run(batch.batch());
  const std::span<float> logits = context.output("logits");
  ASSERT_EQ(logits.size(), by_pass.size());
  EXPECT_EQ(std::memcmp(logits.data(), by_pass.data(), by_pass.size() * sizeof(float)), 0);

  // The same to the bit in a GGUF file, where that has the numbers of a head in the same order.
  const auto written = quantize_checkpoint(*stored, folder_ / "narrow.gguf", "F32", whole.pool());
  ASSERT_TRUE(written.ok()) << written.status().message();
  const std::vector<float> of_file = logits_of(folder_ / "narrow.gguf");
  ASSERT_EQ(of_file.size(), by_pass.size());
  const auto [low, high] = std::minmax_element(by_pass.begin(), by_pass.end());
  float worst = 0;
  for (size_t i = 0; i < by_pass.size(); ++i) worst = std::max(worst, std::abs(of_file[i] - by_pass[i]));
  EXPECT_LE(worst, 1e-5F * (*high - *low));
  const bool same_order = std::string(GetParam()).starts_with("qwen") || std::string(GetParam()) == "gpt2";
  if (same_order) {
    EXPECT_EQ(worst, 0);
  }
}

TEST_P(Width, IsOneOfThoseThatTheModelHas) {
  const Status other = Model::load(folder_, full_ / 2 + 1).status();
  const std::string known =
      std::to_string(full_ / 4) + ", " + std::to_string(full_ / 2) + " and " + std::to_string(full_);
  EXPECT_NE(other.message().find("the model was trained at the widths " + known), std::string::npos) << other.message();
  EXPECT_TRUE(Model::load(folder_, full_).ok());
  struct Fault {
    json widths;
    const char* message;
  };
  for (const Fault& fault :
       {Fault{{full_ / 2, full_ / 4}, "expected ascending numbers"}, Fault{{0}, "expected ascending numbers"},
        Fault{{full_}, "expected ascending numbers between 0 and "}, Fault{{2, 2}, "expected ascending numbers"},
        Fault{{-3}, "expected ascending numbers"}, Fault{"wide", "widths: expected"}}) {
    write(fault.widths);
    const Status status = Checkpoint::open(folder_).ok() ? Model::load(folder_, 2).status() : ok_status();
    EXPECT_NE(status.message().find(fault.message), std::string::npos) << fault.widths << ": " << status.message();
  }
  write(nullptr);
  const Status none = checkpoint_at_width(*Checkpoint::open(folder_), full_ / 2).status();
  EXPECT_NE(none.message().find("the model has no narrower one inside"), std::string::npos) << none.message();
}

// One for each way feed-forwards are stored: plain, fused, transposed, alternating, experts each and stacked, shared
// ones.
INSTANTIATE_TEST_SUITE_P(Models, Width,
                         testing::Values("llama", "qwen3", "gpt2", "phi3-longrope", "mixtral", "qwen3-moe", "gpt-oss",
                                         "deepseek-v3", "deepseek-v2", "granitemoe-shared", "qwen2-moe", "gpt-neox"),
                         [](const auto& tested) {
                           std::string name = tested.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace strata
