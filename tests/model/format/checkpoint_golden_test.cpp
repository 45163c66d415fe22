// Real files: everything in the shared data opens and means what its neighbours say.
#include <nlohmann/json.hpp>

#include "model/format/checkpoint.h"
#include "model/format/gguf.h"
#include "test_data.h"

namespace strata {
namespace {

TEST(CheckpointGolden, StoriesSpeaksHuggingFace) {
  STRATA_REQUIRE_DATA("models/stories260k.gguf");
  const auto checkpoint = Checkpoint::open(test::shared_data() / "models/stories260k.gguf");
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().message();
  const ConfigView& config = checkpoint->config();
  EXPECT_EQ(config.get_string("gguf_architecture"), "llama");
  EXPECT_EQ(config.get_strings("architectures"), std::vector<std::string>{"LlamaForCausalLM"});
  EXPECT_EQ(config.get_int("hidden_size"), 64);
  EXPECT_EQ(config.get_int("intermediate_size"), 172);
  EXPECT_EQ(config.get_int("num_hidden_layers"), 5);
  EXPECT_EQ(config.get_int("num_attention_heads"), 8);
  EXPECT_EQ(config.get_int("num_key_value_heads"), 4);
  EXPECT_EQ(config.get_int("head_dim"), 8);
  EXPECT_EQ(config.get_int("max_position_embeddings"), 512);
  EXPECT_EQ(config.get_int("vocab_size"), 512);
  EXPECT_EQ(config.get_double("rope_theta"), 10000.0);
  EXPECT_FLOAT_EQ(static_cast<float>(*config.get_double("rms_norm_eps")), 1e-5f);
  EXPECT_EQ(config.get_bool("tie_word_embeddings"), true);
  EXPECT_EQ(config.get_bool("rope_interleaved"), true);
  EXPECT_FALSE(config.has("rope_scaling"));
  EXPECT_TRUE(config.status().ok());
  EXPECT_EQ(checkpoint->generation().eos_ids, std::vector<int32_t>{2});
  EXPECT_EQ(checkpoint->generation().bos_id, 1);

  const TensorInfo* q = checkpoint->find("model.layers.4.self_attn.k_proj.weight");
  ASSERT_NE(q, nullptr);
  EXPECT_EQ(q->stored_name, "blk.4.attn_k.weight");
  EXPECT_EQ(q->type, DType::kF32);
  EXPECT_EQ(q->shape, (std::vector<int64_t>{32, 64}));
  EXPECT_EQ(q->data.size(), 32u * 64u * 4u);
  EXPECT_EQ(checkpoint->find("lm_head.weight"), nullptr);
  EXPECT_EQ(checkpoint->tensors().size(), 47u);
  ASSERT_NE(checkpoint->gguf(), nullptr);
  EXPECT_TRUE(checkpoint->folder().empty());

  const Hash128 before = content_hash(*q);
  checkpoint->release(q->data);
  EXPECT_EQ(content_hash(*q), before);  // released pages are read again
}

TEST(CheckpointGolden, EveryGgufOpens) {
  STRATA_REQUIRE_DATA("models");
  int n_files = 0;
  for (const char* folder : {"models", "tokenizers"}) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(test::shared_data() / folder)) {
      if (entry.path().extension() != ".gguf") continue;
      const auto checkpoint = Checkpoint::open(entry.path());
      ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().message();
      EXPECT_TRUE(checkpoint->config().has("gguf_architecture")) << entry.path();
      EXPECT_GT(checkpoint->config().get_int("vocab_size").value_or(0), 500) << entry.path();
      ++n_files;
    }
  }
  EXPECT_GE(n_files, 7);
}

TEST(CheckpointGolden, EveryFolderOpens) {
  STRATA_REQUIRE_DATA("golden-arch");
  int n_folders = 0;
  for (const auto& entry : std::filesystem::directory_iterator(test::shared_data() / "golden-arch")) {
    if (!entry.is_directory()) continue;
    const auto checkpoint = Checkpoint::open(entry.path());
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().message();
    EXPECT_EQ(checkpoint->gguf(), nullptr);
    EXPECT_EQ(checkpoint->folder(), entry.path());
    EXPECT_TRUE(checkpoint->unusable_tensors().empty()) << checkpoint->unusable_tensors().front();
    EXPECT_EQ(checkpoint->config().get_strings("architectures").value().size(), 1u);
    uint64_t bytes = 0;
    for (const TensorInfo& tensor : checkpoint->tensors()) {
      EXPECT_EQ(checkpoint->find(tensor.name), &tensor);
      bytes += tensor.data.size();
    }
    EXPECT_EQ(checkpoint->weight_bytes(), bytes);
    ++n_folders;
  }
  EXPECT_EQ(n_folders, 16);
}

TEST(CheckpointGolden, LlamaFolder) {
  STRATA_REQUIRE_DATA("golden-arch/llama");
  const auto checkpoint = Checkpoint::open(test::shared_data() / "golden-arch/llama");
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().message();
  const auto scaling = checkpoint->config().get_object("rope_scaling");
  ASSERT_TRUE(scaling.has_value());
  EXPECT_EQ(scaling->get_string("rope_type"), "llama3");
  EXPECT_EQ(scaling->get_double("factor"), 8.0);
  EXPECT_FALSE(checkpoint->config().has("pad_token_id"));  // null
  EXPECT_EQ(checkpoint->generation().bos_id, 1);
  EXPECT_EQ(checkpoint->generation().eos_ids, std::vector<int32_t>{2});  // from config.json: generation_config has none
  const auto head = checkpoint->require("lm_head.weight");
  ASSERT_TRUE(head.ok());
  EXPECT_EQ((*head)->shape, (std::vector<int64_t>{384, 64}));
  EXPECT_EQ(checkpoint->require("lm_head.bias").status().code(), Code::kNotFound);
}

}  // namespace
}  // namespace strata
