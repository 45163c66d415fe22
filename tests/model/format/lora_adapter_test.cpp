#include "model/format/lora_adapter.h"

#include <cmath>

#include "test_data.h"
#include "test_files.h"

namespace strata {
namespace {

using test::safetensors;
using test::TemporaryFolder;

constexpr const char* kConfig = R"({"peft_type": "LORA", "r": 2, "lora_alpha": 8, "target_modules": ["q_proj"]})";

std::string pair_of(const std::string& module, int64_t rows_of_b_rank = 2) {
  const std::string columns = std::to_string(rows_of_b_rank);
  const std::string end = std::to_string(32 + 12 * rows_of_b_rank);
  return safetensors(
      R"({"base_model.model.)" + module + R"(.lora_A.weight":{"dtype":"F32","shape":[2,4],"data_offsets":[0,32]},
      "base_model.model.)" +
          module + R"(.lora_B.weight":{"dtype":"F32","shape":[3,)" + columns + R"(],"data_offsets":[32,)" + end + "]}}",
      32 + 12 * static_cast<size_t>(rows_of_b_rank));
}

void expect_refused(const TemporaryFolder& folder, std::string_view expected) {
  const auto adapter = LoraAdapter::open(folder.path());
  ASSERT_FALSE(adapter.ok()) << "opened, expected: " << expected;
  EXPECT_NE(adapter.status().message().find(expected), std::string::npos) << adapter.status().message();
}

TEST(LoraAdapter, ReadsTheGoldenAdapter) {
  STRATA_REQUIRE_DATA("golden-arch/llama/lora");
  const auto adapter = LoraAdapter::open(test::shared_data() / "golden-arch/llama/lora");
  ASSERT_TRUE(adapter.ok()) << adapter.status().message();
  EXPECT_EQ(adapter->rank(), 4);
  EXPECT_EQ(adapter->alpha(), 8.0);
  EXPECT_EQ(adapter->target_modules(), (std::vector<std::string>{"q_proj", "v_proj"}));
  EXPECT_EQ(adapter->pairs().size(), 8u);  // 4 layers
  const auto* pair = adapter->find("model.layers.3.self_attn.v_proj.weight");
  ASSERT_NE(pair, nullptr);
  EXPECT_EQ(pair->a.shape, (std::vector<int64_t>{4, 64}));
  EXPECT_EQ(pair->b.shape, (std::vector<int64_t>{32, 4}));
  EXPECT_EQ(pair->scale, 2.0f);
  EXPECT_EQ(adapter->find("model.layers.0.self_attn.k_proj.weight"), nullptr);
}

TEST(LoraAdapter, Scales) {
  const TemporaryFolder folder;
  folder.write("adapter_model.safetensors", pair_of("model.layers.0.self_attn.q_proj"));
  const auto scale = [&](const std::string& config) {
    folder.write("adapter_config.json", config);
    const auto adapter = LoraAdapter::open(folder.path());
    EXPECT_TRUE(adapter.ok()) << adapter.status().message();
    return adapter.ok() ? adapter->find("model.layers.0.self_attn.q_proj.weight")->scale : 0.0f;
  };
  EXPECT_EQ(scale(kConfig), 4.0f);
  EXPECT_EQ(scale(R"({"r": 2})"), 1.0f);
  EXPECT_FLOAT_EQ(scale(R"({"r": 2, "lora_alpha": 8, "use_rslora": true})"), 8.0f / std::sqrt(2.0f));
  EXPECT_EQ(scale(R"({"r": 2, "lora_alpha": 8, "alpha_pattern": {"self_attn.q_proj": 6}})"), 3.0f);
  EXPECT_EQ(scale(R"({"r": 2, "lora_alpha": 8, "alpha_pattern": {"attn.q_proj": 6, "k_proj": 2}})"), 4.0f);
}

TEST(LoraAdapter, RefusesWhatItDoesNotCompute) {
  const TemporaryFolder folder;
  expect_refused(folder, "adapter_config.json");
  folder.write("adapter_config.json", kConfig);
  expect_refused(folder, "adapter_model.safetensors");
  folder.write("adapter_model.safetensors", pair_of("model.layers.0.self_attn.q_proj"));
  for (const auto& [config, expected] :
       {std::pair{R"({"r": 2, "peft_type": "IA3"})", "is no LoRA"},
        std::pair{R"({"r": 2, "use_dora": true})", "use_dora"}, std::pair{R"({"r": 2, "bias": "all"})", "biases"},
        std::pair{R"({"r": 0})", "r must be positive"}, std::pair{R"({"r": "2"})", "r: expected an integer"},
        std::pair{R"({"r": 2, "lora_alpha": "8"})", "lora_alpha: expected a number"},
        std::pair{R"({"r": 2, "alpha_pattern": {"q.*": 1}})", "regular expression"}}) {
    folder.write("adapter_config.json", config);
    expect_refused(folder, expected);
  }
  folder.write("adapter_config.json", kConfig);
  folder.write("adapter_model.safetensors", pair_of("model.layers.0.self_attn.q_proj", 3));
  expect_refused(folder, "do not fit");
  const auto one = [](const std::string& name, const std::string& type) {
    return safetensors(R"({")" + name + R"(":{"dtype":")" + type + R"(","shape":[2,2],"data_offsets":[0,16]}})", 16);
  };
  folder.write("adapter_model.safetensors", one("base_model.model.m.q_proj.lora_A.weight", "F32"));
  expect_refused(folder, "has lora_A but no lora_B");
  folder.write("adapter_model.safetensors", one("base_model.model.m.q_proj.lora_B.weight", "F32"));
  expect_refused(folder, "has lora_B but no lora_A");
  folder.write("adapter_model.safetensors", one("base_model.model.lm_head.weight", "F32"));
  expect_refused(folder, "neither lora_A nor lora_B");
  folder.write("adapter_model.safetensors", one("base_model.model.m.q_proj.lora_A.weight", "I32"));
  expect_refused(folder, "has the type I32");
  folder.write("adapter_model.safetensors", safetensors("{}", 0));
  expect_refused(folder, "empty");
}

}  // namespace
}  // namespace strata
