// A model that does not exist yet wants the tensors that published ones of its configuration have.
#include <gtest/gtest.h>

#include <map>

#include "model/arch/architecture.h"
#include "test_data.h"

namespace strata {
namespace {

class NewModel : public testing::TestWithParam<const char*> {};

TEST_P(NewModel, WantsThePublishedTensors) {
  const std::string name = std::string("golden-arch/") + GetParam();
  STRATA_REQUIRE_DATA(name);
  const Result<Checkpoint> published = Checkpoint::open(test::shared_data() / name);
  ASSERT_TRUE(published.ok()) << published.status().message();
  const Result<BuiltModel> model = build_new_model(published->config());
  ASSERT_TRUE(model.ok()) << model.status().message();
  std::map<std::string, std::vector<int64_t>> want, got;
  for (const TensorInfo& tensor : published->tensors()) want[tensor.name] = tensor.shape;
  for (const WantedTensor& tensor : model->wanted) got[tensor.name] = tensor.shape;
  EXPECT_EQ(got, want);
  EXPECT_EQ(got.size(), model->wanted.size());
}

INSTANTIATE_TEST_SUITE_P(Golden, NewModel,
                         testing::Values("llama", "mistral", "qwen2", "qwen3", "mixtral", "gemma2", "olmo2",
                                         "phi3-longrope", "qwen3-moe", "gpt2"),
                         [](const auto& tested) {
                           std::string name = tested.param;
                           for (char& c : name) c = c == '-' ? '_' : c;
                           return name;
                         });

TEST(NewModels, OfEncodersAreRefused) {
  const auto config = ConfigView::parse(R"({"architectures": ["BertModel"], "vocab_size": 10, "hidden_size": 8,
    "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8})",
                                        "config.json");
  const auto model = build_new_model(*config);
  ASSERT_FALSE(model.ok());
  EXPECT_NE(model.status().message().find("BertModel"), std::string::npos) << model.status().message();
}

}  // namespace
}  // namespace strata
