// Folders of real architectures as GGUF: the file, read back, says what the folder says.
#include <cmath>
#include <set>

#include "model/format/gguf.h"
#include "model/format/gguf_config.h"
#include "model/format/gguf_conversion.h"
#include "model/format/tensor_names.h"
#include "test_data.h"
#include "test_files.h"

namespace strata {
namespace {

namespace fs = std::filesystem;

// The GGUF file of a folder that has F32 tensors.
Result<Checkpoint> convert(const Checkpoint& source, const fs::path& path) {
  ASSIGN_OR_RETURN(const GgufConversion conversion, plan_gguf_conversion(source));
  ASSIGN_OR_RETURN(GgufWriter writer, GgufWriter::create(path));
  RETURN_IF_ERROR(write_gguf_metadata(source, conversion, writer));
  for (const auto& tensor : conversion.tensors) {
    RETURN_IF_ERROR(writer.declare_tensor(tensor.name, tensor.source_type(), tensor.shape));
  }
  RETURN_IF_ERROR(writer.begin_data());
  std::vector<std::byte> made;
  for (const auto& tensor : conversion.tensors) {
    std::vector<float> numbers(static_cast<size_t>(tensor.row_length()));
    for (int64_t row = 0; row < tensor.n_rows(); ++row) {
      tensor.read_row(row, numbers.data(), made);
      RETURN_IF_ERROR(writer.write(std::as_bytes(std::span(numbers))));
    }
  }
  RETURN_IF_ERROR(writer.finish());
  return Checkpoint::open(path);
}

class FolderAsGguf : public testing::TestWithParam<const char*> {};
class FolderBytes : public FolderAsGguf {};  // bytes come out as they are, but for rotary rows

TEST_P(FolderAsGguf, KeepsConfiguration) {
  STRATA_REQUIRE_DATA("golden-arch");
  const auto folder = Checkpoint::open(test::shared_data() / "golden-arch" / GetParam());
  ASSERT_TRUE(folder.ok()) << folder.status().message();
  const test::TemporaryFolder temporary;
  const auto gguf = convert(*folder, temporary.path() / "model.gguf");
  ASSERT_TRUE(gguf.ok()) << gguf.status().message();
  const ConfigView& before = folder->config();
  const ConfigView& after = gguf->config();
  int n_compared = 0;
  for (const char* key : {"hidden_size",
                          "intermediate_size",
                          "num_hidden_layers",
                          "num_attention_heads",
                          "num_key_value_heads",
                          "head_dim",
                          "max_position_embeddings",
                          "vocab_size",
                          "num_experts",
                          "num_local_experts",
                          "n_routed_experts",
                          "num_experts_per_tok",
                          "moe_intermediate_size",
                          "n_shared_experts",
                          "first_k_dense_replace",
                          "q_lora_rank",
                          "kv_lora_rank",
                          "v_head_dim",
                          "qk_nope_head_dim",
                          "qk_rope_head_dim",
                          "n_group",
                          "topk_group",
                          "sliding_window",
                          "n_embd",
                          "n_head",
                          "n_layer",
                          "n_inner",
                          "n_positions",
                          "type_vocab_size",
                          "bos_token_id",
                          "eos_token_id"}) {
    if (!before.has(key)) continue;
    EXPECT_EQ(after.get_int(key), before.get_int(key)) << key;
    ++n_compared;
  }
  EXPECT_GE(n_compared, 8);
  for (const char* key : {"rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "rope_theta", "routed_scaling_factor",
                          "attn_logit_softcapping", "final_logit_softcapping", "swiglu_limit"}) {
    if (before.has(key)) {
      EXPECT_FLOAT_EQ(static_cast<float>(*after.get_double(key)), static_cast<float>(*before.get_double(key)));
    }
  }
  for (const char* key : {"tie_word_embeddings", "norm_topk_prob"}) {
    if (before.has(key)) {
      EXPECT_EQ(after.get_bool(key), before.get_bool(key)) << key;
    }
  }
  for (const char* key : {"scoring_func", "topk_method", "hidden_activation", "activation_function", "model_type"}) {
    if (before.has(key)) {
      EXPECT_EQ(after.get_string(key), before.get_string(key)) << key;
    }
  }
  EXPECT_EQ(after.get_strings("architectures"), before.get_strings("architectures"));
  if (before.has("sliding_window") && before.has("layer_types")) {
    EXPECT_EQ(after.get_strings("layer_types"), before.get_strings("layer_types"));
  }
  const auto scaling = before.get_object("rope_scaling");
  if (scaling && scaling->get_string("rope_type") == "yarn") {
    const auto read = after.get_object("rope_scaling");
    ASSERT_TRUE(read.has_value());
    for (const char* key :
         {"factor", "original_max_position_embeddings", "mscale", "mscale_all_dim", "beta_fast", "beta_slow"}) {
      if (scaling->has(key)) {
        EXPECT_NEAR(read->get_double(key).value_or(0), *scaling->get_double(key), 1e-6) << key;
      }
    }
  }
  EXPECT_TRUE(after.status().ok()) << after.status().message();
}

// Row of the folder's matrix that the rule of rotary pairs puts at `row`, spelled as the converter's tensor operation:
// view [heads, 2, head_dim / 2], swap the last two.
int64_t source_row_of(int64_t row, int64_t head_dim) {
  const int64_t head = row / head_dim;
  const int64_t pair = row % head_dim / 2;
  const int64_t half = row % 2;
  return head * head_dim + half * (head_dim / 2) + pair;
}

TEST_P(FolderBytes, KeepsEveryWeight) {
  STRATA_REQUIRE_DATA("golden-arch");
  const auto folder = Checkpoint::open(test::shared_data() / "golden-arch" / GetParam());
  ASSERT_TRUE(folder.ok()) << folder.status().message();
  const test::TemporaryFolder temporary;
  const auto gguf = convert(*folder, temporary.path() / "model.gguf");
  ASSERT_TRUE(gguf.ok()) << gguf.status().message();
  const bool interleaved = gguf->config().get_bool("rope_interleaved").value_or(false);
  std::set<std::string> seen;
  for (const TensorInfo& tensor : folder->tensors()) {
    const auto stored = gguf_name(tensor.name, gguf_architecture(gguf->gguf_parts()));
    ASSERT_TRUE(stored.has_value()) << tensor.name;
    seen.insert(stored->name);
    const GgufTensor* found = gguf->gguf()->find_tensor(stored->name);
    ASSERT_NE(found, nullptr) << stored->name;
    auto data = found->data;
    if (stored->index >= 0) {
      data = data.subspan(static_cast<size_t>(stored->index) * tensor.data.size(), tensor.data.size());
    }
    ASSERT_EQ(data.size(), tensor.data.size()) << tensor.name;
    const bool permuted = interleaved && (tensor.name.find("q_proj.weight") != std::string::npos ||
                                          tensor.name.find("k_proj.weight") != std::string::npos);
    const size_t row_size = static_cast<size_t>(tensor.shape.back()) * 4;
    const int64_t n_rows = static_cast<int64_t>(tensor.data.size() / row_size);
    for (int64_t row = 0; row < n_rows; ++row) {
      const int64_t from = permuted ? source_row_of(row, *gguf->config().get_int("head_dim")) : row;
      ASSERT_EQ(std::memcmp(data.data() + static_cast<size_t>(row) * row_size,
                            tensor.data.data() + static_cast<size_t>(from) * row_size, row_size),
                0)
          << tensor.name << " row " << row;
    }
  }
  for (const TensorInfo& tensor : gguf->tensors()) {
    EXPECT_TRUE(seen.contains(tensor.stored_name) || tensor.name == "rope_freqs.weight") << tensor.name;
  }
}

std::string case_name(const testing::TestParamInfo<const char*>& tested) {
  std::string name = tested.param;
  for (char& c : name) c = c == '-' ? '_' : c;
  return name;
}

INSTANTIATE_TEST_SUITE_P(Golden, FolderAsGguf,
                         testing::Values("llama", "mistral", "mixtral", "qwen2", "qwen3", "qwen3-moe", "deepseek-v3",
                                         "olmo2", "gemma2", "gpt2", "gpt-oss", "phi3-longrope", "bert", "bert-rerank"),
                         case_name);

INSTANTIATE_TEST_SUITE_P(Golden, FolderBytes,
                         testing::Values("llama", "mistral", "mixtral", "qwen2", "qwen3", "qwen3-moe", "olmo2", "bert",
                                         "bert-rerank"),
                         case_name);

// inv_freq of transformers 5.23 for golden llama, head_dim 16, theta 10000 (LlamaRotaryEmbedding.inv_freq).
TEST(GgufConversion, Llama3FactorsDivideTheFrequencies) {
  STRATA_REQUIRE_DATA("golden-arch/llama");
  const auto folder = Checkpoint::open(test::shared_data() / "golden-arch/llama");
  ASSERT_TRUE(folder.ok());
  const auto plan = plan_gguf_conversion(*folder);
  ASSERT_TRUE(plan.ok()) << plan.status().message();
  const GgufOutputTensor& factors = plan->tensors.back();
  ASSERT_EQ(factors.name, "rope_freqs.weight");
  ASSERT_EQ(factors.values.size(), 8u);
  const double expected[] = {1,       0.24438459,    0.013042256,   0.0039528473,
                             0.00125, 0.00039528473, 0.00012500001, 3.9528473e-05};
  for (size_t i = 0; i < 8; ++i) {
    const double plain = std::pow(10000.0, -2.0 * static_cast<double>(i) / 16.0);
    EXPECT_NEAR(plain / factors.values[i] / expected[i], 1.0, 1e-5) << i;
  }
}

TEST(GgufConversion, BiasesOfRotaryRowsAreReorderedToo) {
  const test::TemporaryFolder folder;
  folder.write("config.json",
               R"({"model_type": "llama", "num_hidden_layers": 1, "num_attention_heads": 2, "head_dim": 4})");
  test::Bytes data;
  for (int i = 0; i < 8; ++i) data.put(static_cast<float>(i));
  const std::string header =
      R"({"model.layers.0.self_attn.q_proj.bias":{"dtype":"F32","shape":[8],"data_offsets":[0,32]}})";
  folder.write("model.safetensors", test::Bytes().u64(header.size()).raw(header).raw(data.text()).text());
  const auto checkpoint = Checkpoint::open(folder.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().message();
  const auto plan = plan_gguf_conversion(*checkpoint);
  ASSERT_TRUE(plan.ok()) << plan.status().message();
  const GgufOutputTensor& bias = plan->tensors.front();
  ASSERT_EQ(bias.name, "blk.0.attn_q.bias");
  ASSERT_EQ(bias.n_rows(), 8);
  std::vector<float> values(8);
  std::vector<std::byte> made;
  for (int64_t i = 0; i < 8; ++i) bias.read_row(i, &values[static_cast<size_t>(i)], made);
  EXPECT_EQ(values, (std::vector<float>{0, 2, 1, 3, 4, 6, 5, 7}));
}

TEST(GgufConversion, SaysWhatHasNoForm) {
  const test::TemporaryFolder folder;
  folder.write("config.json", R"({"model_type": "strange", "num_hidden_layers": 1})");
  folder.write("model.safetensors",
               test::safetensors(R"({"model.norm.weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4));
  const auto refuse = [&](std::string_view expected) {
    const auto checkpoint = Checkpoint::open(folder.path());
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().message();
    const auto plan = plan_gguf_conversion(*checkpoint);
    ASSERT_FALSE(plan.ok());
    EXPECT_NE(plan.status().message().find(expected), std::string::npos) << plan.status().message();
  };
  refuse("model_type 'strange' has no GGUF form here (known: ");
  folder.write("config.json", R"({"model_type": "qwen3"})");
  refuse("num_hidden_layers: expected an integer, it is missing");
  folder.write("config.json", R"({"model_type": "qwen3_moe", "num_hidden_layers": 1, "num_experts": 1000000000000})");
  refuse("number of experts is out of range");
  folder.write("config.json", R"({"model_type": "llama", "num_hidden_layers": 1, "head_dim": 1e15})");
  refuse("number of attention heads is out of range");
  folder.write("config.json",
               R"({"model_type": "llama", "num_hidden_layers": 1, "num_attention_heads": 1, "head_dim": 1e15})");
  refuse("rotary dimension is out of range");
  folder.write("config.json", R"({"model_type": "llama", "num_hidden_layers": 1, "num_attention_heads": 0})");
  refuse("number of attention heads is out of range");
  folder.write("config.json",
               R"({"model_type": "qwen3_moe", "num_hidden_layers": 1, "num_experts": 2, "num_attention_heads": 1})");
  folder.write("model.safetensors",
               test::safetensors(R"({"odd.weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4));
  refuse("no name for tensor 'odd.weight'");
  const auto expert = [](const std::string& number, const std::string& shape) {
    return R"("model.layers.0.mlp.experts.)" + number + R"(.up_proj.weight":{"dtype":"F32","shape":)" + shape + ",";
  };
  folder.write("model.safetensors", test::safetensors("{" + expert("0", "[1,1]") + R"("data_offsets":[0,4]}})", 4));
  refuse("number 1 is missing");
  folder.write("model.safetensors", test::safetensors("{" + expert("2", "[1,1]") + R"("data_offsets":[0,4]}})", 4));
  refuse("has only 2 of these");
  folder.write("model.safetensors", test::safetensors("{" + expert("0", "[1,1]") + R"("data_offsets":[0,4]},)" +
                                                          expert("1", "[2,1]") + R"("data_offsets":[4,12]}})",
                                                      12));
  refuse("another shape");
}

}  // namespace
}  // namespace strata
