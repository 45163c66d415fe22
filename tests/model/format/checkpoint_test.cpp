#include "model/format/checkpoint.h"

#include <nlohmann/json.hpp>

#include "model/format/gguf.h"
#include "model/format/gguf_writer.h"
#include "model/format/safetensors_writer.h"
#include "test_files.h"

namespace strata {
namespace {

using test::safetensors;
using test::TemporaryFolder;
namespace fs = std::filesystem;

void expect_refused(const fs::path& path, std::string_view expected) {
  const auto checkpoint = Checkpoint::open(path);
  ASSERT_FALSE(checkpoint.ok()) << "opened, expected: " << expected;
  const std::string& message = checkpoint.status().message();
  EXPECT_NE(message.find(expected), std::string::npos) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
}

constexpr const char* kConfig =
    R"({"architectures": ["LlamaForCausalLM"], "eos_token_id": [7, 2, 7], "bos_token_id": 1})";
std::string one_tensor(const std::string& name) {
  return safetensors(R"({")" + name + R"(":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4);
}

TEST(CheckpointFolder, SaysWhatIsMissing) {
  expect_refused("/nonexistent", "no such file or folder");
  const TemporaryFolder empty;
  expect_refused(empty.path(), "no config.json");

  const TemporaryFolder no_weights;
  no_weights.write("config.json", kConfig);
  expect_refused(no_weights.path(), "neither model.safetensors nor");
  no_weights.write("pytorch_model.bin", "x");
  expect_refused(no_weights.path(), "safe_serialization");

  const TemporaryFolder adapter;
  adapter.write("adapter_model.safetensors", one_tensor("t"));
  expect_refused(adapter.path(), "adapter");
  expect_refused(adapter.path() / "adapter_model.safetensors", "give the folder");

  const TemporaryFolder gguf;
  gguf.write("model.gguf", "GGUF");
  expect_refused(gguf.path(), "give the file model.gguf");
}

TEST(CheckpointFolder, BrokenFilesAreNamed) {
  const TemporaryFolder folder;
  folder.write("model.safetensors", one_tensor("t"));
  folder.write("config.json", "{");
  expect_refused(folder.path(), "config.json: not valid JSON");
  folder.write("config.json", "[]");
  expect_refused(folder.path(), "expected a JSON object");
  folder.write("config.json", R"({"eos_token_id": "two"})");
  expect_refused(folder.path(), "eos_token_id: expected an integer");
  folder.write("config.json", kConfig);
  folder.write("generation_config.json", R"({"temperature": "hot"})");
  expect_refused(folder.path(), "generation_config.json: temperature: expected a number");
  folder.write("generation_config.json", R"({"temperature": 0.5, "top_k": 40, "top_p": 0.75, "eos_token_id": [9, 3]})");
  const auto checkpoint = Checkpoint::open(folder.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().message();
  EXPECT_EQ(checkpoint->generation().temperature, 0.5f);
  EXPECT_EQ(checkpoint->generation().top_k, 40);
  EXPECT_EQ(checkpoint->generation().top_p, 0.75f);
  EXPECT_EQ(checkpoint->generation().eos_ids, (std::vector<int32_t>{3, 9}));
  EXPECT_EQ(checkpoint->generation().bos_id, 1);
  folder.write("generation_config.json", "{}");
  EXPECT_EQ(Checkpoint::open(folder.path())->generation().eos_ids, (std::vector<int32_t>{2, 7}));
}

TEST(CheckpointFolder, UnusableTypesFailOnlyWhenUsed) {
  const TemporaryFolder folder;
  folder.write("config.json", kConfig);
  folder.write("model.safetensors", safetensors(R"({"f8":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]},
                                                    "ok":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                                                8));
  const auto checkpoint = Checkpoint::open(folder.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().message();
  EXPECT_EQ(checkpoint->find("f8"), nullptr);
  EXPECT_NE(checkpoint->find("ok"), nullptr);
  EXPECT_EQ(checkpoint->unusable_tensors(), std::vector<std::string>{"f8 (F8_E4M3)"});
  const Status status = checkpoint->require("f8").status();
  EXPECT_EQ(status.code(), Code::kInvalidArgument);
  EXPECT_NE(status.message().find("'f8' has the type F8_E4M3"), std::string::npos) << status.message();
}

TEST(CheckpointFolder, Shards) {
  const TemporaryFolder folder;
  folder.write("config.json", kConfig);
  folder.write("model.safetensors.index.json", R"({"weight_map": {"a": "m-1.safetensors", "b": "m-2.safetensors"}})");
  folder.write("m-1.safetensors", one_tensor("a"));
  expect_refused(folder.path(), "m-2.safetensors: the index names this file, but it is missing");
  folder.write("m-2.safetensors", one_tensor("other"));
  expect_refused(folder.path(), "tensor 'b' is missing, which the index expects here");
  folder.write("m-2.safetensors", safetensors(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},
                                                  "b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
                                              8));
  expect_refused(folder.path(), "'a' occurs twice");
  folder.write("m-2.safetensors", one_tensor("b"));
  const auto checkpoint = Checkpoint::open(folder.path());
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().message();
  EXPECT_EQ(checkpoint->tensors().size(), 2u);
  EXPECT_EQ(checkpoint->weight_bytes(), 8u);

  for (const char* shard : {"../secret", "a/b", "..", ""}) {
    folder.write("model.safetensors.index.json", std::string(R"({"weight_map": {"a": ")") + shard + "\"}}");
    expect_refused(folder.path(), "is no file name");
  }
  folder.write("model.safetensors.index.json", R"({"weight_map": {"a": 3}})");
  expect_refused(folder.path(), "weight_map.a: expected a string");
  folder.write("model.safetensors.index.json", R"({})");
  expect_refused(folder.path(), "weight_map: expected an object, it is missing");
}

// A GGUF file with these tensors (F32, one row of `size` zeros each) after `add` put in its metadata.
template <class Add>
fs::path write_gguf(const fs::path& path, const Add& add,
                    std::initializer_list<std::pair<const char*, std::vector<int64_t>>> tensors) {
  auto writer = GgufWriter::create(path);
  EXPECT_TRUE(writer.ok());
  add(*writer);
  for (const auto& [name, shape] : tensors) EXPECT_TRUE(writer->declare_tensor(name, DType::kF32, shape).ok());
  EXPECT_TRUE(writer->begin_data().ok());
  for (const auto& [name, shape] : tensors) {
    size_t bytes = 4;
    for (const int64_t size : shape) bytes *= static_cast<size_t>(size);
    EXPECT_TRUE(writer->write(std::vector<std::byte>(bytes)).ok());
  }
  EXPECT_TRUE(writer->finish().ok());
  return path;
}

TEST(CheckpointGguf, NeedsAnArchitecture) {
  const TemporaryFolder folder;
  expect_refused(write_gguf(folder.path() / "none.gguf", [](GgufWriter&) {}, {}), "general.architecture is missing");
}

TEST(CheckpointGguf, SplitModels) {
  const TemporaryFolder folder;
  const auto part = [&](const std::string& name, uint32_t number, const char* tensor, uint32_t n_tensors = 2) {
    return write_gguf(folder.path() / name,
                      [&](GgufWriter& writer) {
                        if (number == 0) writer.add_string("general.architecture", "llama");
                        writer.add_uint("split.no", number);
                        writer.add_uint("split.count", 2);
                        writer.add_uint("split.tensors.count", n_tensors);
                      },
                      {{tensor, {2, 4}}});
  };
  part("m-00001-of-00002.gguf", 0, "token_embd.weight");
  expect_refused(folder.path() / "m-00001-of-00002.gguf", "part 2 of a split model");
  const fs::path second = part("m-00002-of-00002.gguf", 1, "output.weight");
  const auto checkpoint = Checkpoint::open(second);  // any part will do
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().message();
  EXPECT_NE(checkpoint->find("model.embed_tokens.weight"), nullptr);
  EXPECT_NE(checkpoint->find("lm_head.weight"), nullptr);
  EXPECT_EQ(checkpoint->config().get_bool("tie_word_embeddings"), false);
  EXPECT_EQ(checkpoint->config().get_int("vocab_size"), 2);

  part("m-00002-of-00002.gguf", 1, "token_embd.weight");
  expect_refused(second, "occurs twice");
  part("m-00002-of-00002.gguf", 0, "output.weight");
  expect_refused(second, "another part");
  expect_refused(part("renamed.gguf", 0, "t"), "rename the parts");
  part("m-00001-of-00002.gguf", 0, "token_embd.weight", 3);
  part("m-00002-of-00002.gguf", 1, "output.weight");
  expect_refused(second, "have 2 tensors, not 3");
}

TEST(CheckpointGguf, JoinedTensorsAreCut) {
  const TemporaryFolder folder;
  const fs::path path = write_gguf(folder.path() / "phi2.gguf",
                                   [](GgufWriter& writer) {
                                     writer.add_string("general.architecture", "phi2");
                                     writer.add_uint("phi2.block_count", 1);
                                     writer.add_uint("phi2.embedding_length", 8);
                                     writer.add_uint("phi2.attention.head_count", 2);
                                     writer.add_uint("phi2.attention.head_count_kv", 1);
                                   },
                                   {{"blk.0.attn_qkv.weight", {16, 8}}, {"blk.0.attn_qkv.bias", {16}}});
  const auto checkpoint = Checkpoint::open(path);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().message();
  const TensorInfo* q = checkpoint->find("model.layers.0.self_attn.q_proj.weight");
  const TensorInfo* v = checkpoint->find("model.layers.0.self_attn.v_proj.weight");
  const TensorInfo* bias = checkpoint->find("model.layers.0.self_attn.k_proj.bias");
  ASSERT_TRUE(q != nullptr && v != nullptr && bias != nullptr);
  EXPECT_EQ(q->shape, (std::vector<int64_t>{8, 8}));
  EXPECT_EQ(v->shape, (std::vector<int64_t>{4, 8}));
  EXPECT_EQ(v->data.data() - q->data.data(), 12 * 8 * 4);
  EXPECT_EQ(bias->shape, std::vector<int64_t>{4});
  EXPECT_EQ(bias->data.size(), 16u);
}

TEST(CheckpointGguf, NormsOfHeadsAreUnstacked) {
  const TemporaryFolder folder;
  const auto open = [&](std::vector<int64_t> shape) {
    return Checkpoint::open(
        write_gguf(folder.path() / "stablelm.gguf",
                   [](GgufWriter& writer) { writer.add_string("general.architecture", "stablelm"); },
                   {{"blk.0.attn_q_norm.weight", shape}}));
  };
  const auto checkpoint = open({3, 8});
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().message();
  const TensorInfo* last = checkpoint->find("model.layers.0.self_attn.q_layernorm.norms.2.weight");
  ASSERT_NE(last, nullptr);
  EXPECT_EQ(last->shape, std::vector<int64_t>{8});
  EXPECT_EQ(checkpoint->find("model.layers.0.self_attn.q_layernorm.norms.3.weight"), nullptr);
  const auto flat = open({8});  // not what the name promises: it stays as it is
  ASSERT_TRUE(flat.ok()) << flat.status().message();
  EXPECT_NE(flat->find("blk.0.attn_q_norm.weight"), nullptr);
}

TEST(CheckpointGguf, OwnFieldsComeLast) {
  const TemporaryFolder folder;
  const auto open = [&](const char* fields) {
    return Checkpoint::open(write_gguf(folder.path() / "own.gguf",
                                       [&](GgufWriter& writer) {
                                         writer.add_string("general.architecture", "smollm3");
                                         writer.add_string("strata.config", fields);
                                       },
                                       {}));
  };
  const auto checkpoint = open(R"({"no_rope_layers": [1, 0], "no_rope_layer_interval": 2})");
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().message();
  EXPECT_EQ(checkpoint->config().get_int("no_rope_layer_interval"), 2);
  EXPECT_EQ(checkpoint->config().get_ints("no_rope_layers"), (std::vector<int64_t>{1, 0}));
  EXPECT_NE(open("{").status().message().find("strata.config"), std::string::npos);
  EXPECT_NE(open("[]").status().message().find("strata.config"), std::string::npos);
}

TEST(CheckpointGguf, NamesThatMeetStayAsStored) {
  const TemporaryFolder folder;
  const fs::path path = write_gguf(folder.path() / "n.gguf",
                                   [](GgufWriter& writer) { writer.add_string("general.architecture", "another"); },
                                   {{"blk.0.ffn_norm.weight", {4}}, {"blk.0.post_attention_norm.weight", {4}}});
  const auto checkpoint = Checkpoint::open(path);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().message();
  EXPECT_EQ(checkpoint->find("model.layers.0.post_attention_layernorm.weight")->stored_name, "blk.0.ffn_norm.weight");
  EXPECT_NE(checkpoint->find("blk.0.post_attention_norm.weight"), nullptr);
}

TEST(CheckpointGguf, AbsurdSizesDoNoHarm) {
  const TemporaryFolder folder;
  test::Bytes bytes;
  bytes.gguf(0, 6).string("general.architecture").u32(8).string("deepseek2");
  for (const char* key : {"block_count", "nextn_predict_layers", "rope.dimension_count", "attention.key_length"}) {
    bytes.string(std::string("deepseek2.") + key).u32(11).put(key[0] == 'b' ? INT64_MIN : INT64_MAX);
  }
  bytes.string("deepseek2.attention.kv_lora_rank").u32(11).put<int64_t>(-1);
  const auto checkpoint = Checkpoint::open(folder.write("absurd.gguf", bytes.text()));
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().message();
  EXPECT_FALSE(checkpoint->config().has("num_hidden_layers"));
  EXPECT_FALSE(checkpoint->config().has("qk_nope_head_dim"));
}

TEST(CheckpointGguf, DeepSeekConfiguration) {
  const TemporaryFolder folder;
  const fs::path path = write_gguf(
      folder.path() / "d.gguf",
      [](GgufWriter& writer) {
        writer.add_string("general.architecture", "deepseek2");
        const std::pair<const char*, uint32_t> keys[] = {{"block_count", 4},
                                                         {"nextn_predict_layers", 1},
                                                         {"embedding_length", 64},
                                                         {"feed_forward_length", 96},
                                                         {"attention.head_count", 4},
                                                         {"attention.head_count_kv", 1},
                                                         {"attention.q_lora_rank", 24},
                                                         {"attention.kv_lora_rank", 32},
                                                         {"attention.key_length", 40},
                                                         {"attention.value_length", 32},
                                                         {"attention.key_length_mla", 24},
                                                         {"attention.value_length_mla", 16},
                                                         {"rope.dimension_count", 8},
                                                         {"expert_count", 8},
                                                         {"expert_used_count", 3},
                                                         {"expert_shared_count", 1},
                                                         {"expert_feed_forward_length", 16},
                                                         {"expert_group_count", 4},
                                                         {"expert_group_used_count", 2},
                                                         {"expert_gating_func", 2},
                                                         {"leading_dense_block_count", 1},
                                                         {"rope.scaling.original_context_length", 64}};
        for (const auto& [key, value] : keys) writer.add_uint(std::string("deepseek2.") + key, value);
        writer.add_float("deepseek2.expert_weights_scale", 2.5f);
        writer.add_bool("deepseek2.expert_weights_norm", true);
        writer.add_string("deepseek2.rope.scaling.type", "yarn");
        writer.add_float("deepseek2.rope.scaling.factor", 4.0f);
        writer.add_float("deepseek2.rope.scaling.yarn_log_multiplier", 0.1f);
      },
      {{"token_embd.weight", {384, 64}}, {"blk.1.attn_k_b.weight", {4, 32, 16}}, {"blk.1.exp_probs_b.bias", {8}}});
  const auto checkpoint = Checkpoint::open(path);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().message();
  const ConfigView& config = checkpoint->config();
  const std::pair<const char*, int64_t> expected[] = {{"num_hidden_layers", 3},
                                                      {"num_nextn_predict_layers", 1},
                                                      {"num_attention_heads", 4},
                                                      {"num_key_value_heads", 4},
                                                      {"q_lora_rank", 24},
                                                      {"kv_lora_rank", 32},
                                                      {"qk_nope_head_dim", 16},
                                                      {"qk_rope_head_dim", 8},
                                                      {"v_head_dim", 16},
                                                      {"n_routed_experts", 8},
                                                      {"num_experts_per_tok", 3},
                                                      {"n_shared_experts", 1},
                                                      {"moe_intermediate_size", 16},
                                                      {"n_group", 4},
                                                      {"topk_group", 2},
                                                      {"first_k_dense_replace", 1},
                                                      {"vocab_size", 384}};
  for (const auto& [key, value] : expected) EXPECT_EQ(config.get_int(key), value) << key;
  EXPECT_EQ(config.get_string("scoring_func"), "sigmoid");
  EXPECT_EQ(config.get_string("topk_method"), "noaux_tc");
  EXPECT_EQ(config.get_double("routed_scaling_factor"), 2.5);
  EXPECT_EQ(config.get_bool("norm_topk_prob"), true);
  EXPECT_EQ(config.get_bool("rope_interleaved"), true);
  const auto scaling = config.get_object("rope_scaling");
  ASSERT_TRUE(scaling.has_value());
  EXPECT_EQ(scaling->get_string("rope_type"), "yarn");
  EXPECT_EQ(scaling->get_double("factor"), 4.0);
  EXPECT_EQ(scaling->get_int("original_max_position_embeddings"), 64);
  EXPECT_NEAR(*scaling->get_double("mscale_all_dim"), 1.0, 1e-6);
  EXPECT_TRUE(config.status().ok());
  EXPECT_EQ(checkpoint->find("model.layers.1.self_attn.k_b_proj.weight")->shape, (std::vector<int64_t>{4, 32, 16}));
  EXPECT_NE(checkpoint->find("model.layers.1.mlp.gate.e_score_correction_bias"), nullptr);
}

TEST(CheckpointGguf, MistypedMetadataIsNamed) {
  const TemporaryFolder folder;
  const fs::path path = write_gguf(folder.path() / "t.gguf",
                                   [](GgufWriter& writer) {
                                     writer.add_string("general.architecture", "llama");
                                     writer.add_string("llama.embedding_length", "many");
                                     const int32_t per_layer[] = {96, 96, 96};
                                     writer.add_ints("llama.feed_forward_length", per_layer);
                                     const int32_t different[] = {4, 8};
                                     writer.add_ints("llama.attention.head_count", different);
                                     writer.add_string("llama.rope.scaling.type", "linear");
                                     writer.add_float("llama.rope.scaling.factor", 2.0f);
                                   },
                                   {});
  const auto checkpoint = Checkpoint::open(path);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status().message();
  EXPECT_EQ(checkpoint->config().get_int("intermediate_size"), 96);  // one number for all layers
  EXPECT_EQ(checkpoint->config().get_ints("num_attention_heads"), (std::vector<int64_t>{4, 8}));
  EXPECT_EQ(checkpoint->config().get_object("rope_scaling")->get_string("rope_type"), "linear");
  const Status status = checkpoint->config().require_int("hidden_size").status();
  EXPECT_NE(status.message().find("hidden_size: expected an integer, got string"), std::string::npos)
      << status.message();
}

TEST(ContentHash, DependsOnBytesTypeAndShape) {
  const std::vector<std::byte> bytes(64, std::byte{3});
  const TensorInfo base{"a", "a", DType::kF32, {4, 4}, bytes};
  TensorInfo other = base;
  other.name = "b";
  EXPECT_EQ(content_hash(other), content_hash(base));
  other.shape = {2, 8};
  EXPECT_NE(content_hash(other), content_hash(base));
  other = base;
  other.type = DType::kI32;
  EXPECT_NE(content_hash(other), content_hash(base));
  std::vector<std::byte> changed = bytes;
  changed[63] = std::byte{4};
  other = base;
  other.data = changed;
  EXPECT_NE(content_hash(other), content_hash(base));
}

}  // namespace
}  // namespace strata
