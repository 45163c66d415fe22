// What architecture files lean on: fields in all their spellings, rows of fused tensors, and errors that name what is
// wrong.
#include "model/arch/model_builder.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "model/arch/rope_fields.h"
#include "model/format/test_files.h"

namespace strata {
namespace {

using nlohmann::json;

// A folder with this configuration and F32 tensors of zeros.
class Folder {
 public:
  explicit Folder(const json& config, const std::map<std::string, std::vector<int64_t>>& tensors = {{"w", {1}}}) {
    json header = json::object();
    int64_t end = 0;
    for (const auto& [name, shape] : tensors) {
      int64_t bytes = 4;
      for (const int64_t n : shape) bytes *= n;
      header[name] = {{"dtype", "F32"}, {"shape", shape}, {"data_offsets", {end, end + bytes}}};
      end += bytes;
    }
    files_.write("config.json", config.dump());
    files_.write("model.safetensors", test::safetensors(header.dump(), static_cast<size_t>(end)));
    Result<Checkpoint> opened = Checkpoint::open(files_.path());
    EXPECT_TRUE(opened.ok()) << opened.status().message();
    checkpoint_ = std::make_unique<Checkpoint>(std::move(*opened));
  }
  const Checkpoint& checkpoint() const { return *checkpoint_; }

 private:
  test::TemporaryFolder files_;
  std::unique_ptr<Checkpoint> checkpoint_;
};

json plain() {
  return {{"vocab_size", 10}, {"hidden_size", 24}, {"num_hidden_layers", 4}, {"num_attention_heads", 4}};
}

json with(json config, const json& more) {
  if (more.is_object()) config.update(more);
  return config;
}

TEST(DecoderFields, AreReadInEverySpelling) {
  const Folder old({{"vocab_size", 10}, {"n_embd", 24}, {"n_layer", 4}, {"n_head", 3}, {"n_positions", 77},
                    {"n_inner", nullptr}, {"layer_norm_epsilon", 0.5}, {"activation_function", "gelu_new"}});
  ModelBuilder b(old.checkpoint());
  const DecoderFields f = b.decoder_fields();
  ASSERT_TRUE(b.status().ok()) << b.status().message();
  EXPECT_EQ(f.hidden, 24);
  EXPECT_EQ(f.n_layers, 4);
  EXPECT_EQ(f.n_kv_heads, 3);
  EXPECT_EQ(f.head_dim, 8);
  EXPECT_EQ(f.feed_forward, 96);
  EXPECT_EQ(f.max_context, 77);
  EXPECT_EQ(f.norm_eps, 0.5);
  EXPECT_EQ(f.activation, "gelu_tanh");
  EXPECT_TRUE(f.tied);  // there is no lm_head.weight
}

TEST(DecoderFields, AbsentOnesAreWhatTheArchitectureSays) {
  const Folder folder(with(plain(), {{"head_dim", nullptr}, {"hidden_act", "gelu"}, {"hidden_activation", "relu"}}));
  ModelBuilder b(folder.checkpoint());
  const DecoderFields f = b.decoder_fields({.n_kv_heads = 2, .head_dim = 16, .norm_eps = 0.25});
  EXPECT_EQ(f.n_kv_heads, 2);
  EXPECT_EQ(f.head_dim, 16);
  EXPECT_EQ(f.norm_eps, 0.25);
  EXPECT_EQ(f.activation, "relu");  // the newer field counts
}

TEST(DecoderFields, SayWhichFieldIsWrong) {
  const std::pair<json, const char*> cases[] = {
      {{{"hidden_size", 0}}, "hidden_size"},
      {{{"hidden_size", -3}}, "hidden_size"},
      {{{"vocab_size", 1e18}}, "vocab_size"},
      {{{"num_hidden_layers", 5000}}, "num_hidden_layers"},
      {{{"num_attention_heads", "four"}}, "num_attention_heads"},
      {{{"num_key_value_heads", 3}}, "num_key_value_heads"},
      {{{"hidden_act", "swoosh"}}, "swoosh"},
  };
  for (const auto& [change, named] : cases) {
    const Folder folder(with(plain(), change));
    ModelBuilder b(folder.checkpoint());
    const DecoderFields f = b.decoder_fields();
    const Result<BuiltModel> built = b.finish(f);
    ASSERT_FALSE(built.ok()) << change;
    EXPECT_NE(built.status().message().find(named), std::string::npos) << built.status().message();
  }
}

TEST(Windows, FollowLayerTypesOrTheRule) {
  const auto windows_of = [](const json& more) {
    const Folder folder(with(plain(), more));
    ModelBuilder b(folder.checkpoint());
    const auto windows = b.windows(4, [](int64_t layer) { return layer % 2 == 0; });
    EXPECT_TRUE(b.status().ok()) << b.status().message();
    return windows;
  };
  using Windows = std::vector<int64_t>;
  const json types = {"full_attention", "sliding_attention", "sliding_attention", "full_attention"};
  EXPECT_EQ(windows_of({{"sliding_window", 9}}), (Windows{9, 0, 9, 0}));
  EXPECT_EQ(windows_of({{"sliding_window", 9}, {"layer_types", types}}), (Windows{0, 9, 9, 0}));
  EXPECT_EQ(windows_of({{"sliding_window", nullptr}, {"layer_types", types}}), (Windows{0, 0, 0, 0}));
  EXPECT_EQ(windows_of({{"sliding_window", 9}, {"use_sliding_window", false}}), (Windows{0, 0, 0, 0}));
  EXPECT_EQ(windows_of({}), (Windows{0, 0, 0, 0}));
}

TEST(Windows, RefuseLayersTheyDoNotKnow) {
  for (const json& types : {json{"full_attention"}, json{"full_attention", "full_attention", "linear_attention", "x"}}) {
    const Folder folder(with(plain(), {{"layer_types", types}}));
    ModelBuilder b(folder.checkpoint());
    b.windows(4, [](int64_t) { return true; });
    EXPECT_NE(b.status().message().find("layer_types"), std::string::npos) << b.status().message();
  }
}

std::string ref_of(const Graph& graph, const std::string& name) {
  const Value weight = graph.find(NodeKind::kWeight, name);
  return weight.valid() ? to_string(graph.node(weight).weight) : "no weight " + name;
}

TEST(FusedQkv, TakesRowsInBothOrders) {
  const Folder folder(plain(), {{"qkv.weight", {16, 6}}, {"qkv.bias", {16}}});
  for (const QkvOrder order : {QkvOrder::kBlocks, QkvOrder::kGroups}) {
    ModelBuilder b(folder.checkpoint());
    const Value x = b.graph().add_input("x", {DType::kF32, {Dim::tokens(), 6}});
    const Qkv a = b.fused_qkv(x, "qkv", {.n_heads = 4, .n_kv_heads = 2, .head_dim = 2, .bias = true}, order);
    ASSERT_TRUE(b.status().ok()) << b.status().message();
    EXPECT_EQ(to_string(b.graph().type(a.q)), "f32[T, 4, 2]");
    EXPECT_EQ(to_string(b.graph().type(a.v)), "f32[T, 2, 2]");
    if (order == QkvOrder::kBlocks) {
      EXPECT_EQ(ref_of(b.graph(), "qkv.weight[0:8]"), "qkv.weight[0:8, 0:6]");
      EXPECT_EQ(ref_of(b.graph(), "qkv.weight[8:12]"), "qkv.weight[8:12, 0:6]");
      EXPECT_EQ(ref_of(b.graph(), "qkv.bias[12:16]"), "qkv.bias[0:1, 12:16]");
    } else {  // of eight rows: four of q, two of k, two of v
      EXPECT_EQ(ref_of(b.graph(), "qkv.weight[0:4 of 8]"), "qkv.weight[0:4, 0:6] + qkv.weight[8:12, 0:6]");
      EXPECT_EQ(ref_of(b.graph(), "qkv.weight[4:6 of 8]"), "qkv.weight[4:6, 0:6] + qkv.weight[12:14, 0:6]");
      EXPECT_EQ(ref_of(b.graph(), "qkv.bias[6:8 of 8]"), "qkv.bias[0:1, 6:8] + qkv.bias[0:1, 14:16]");
    }
  }
}

TEST(Rows, OfTransposedAndAlternatingTensors) {
  const Folder folder(plain(), {{"conv", {6, 12}}, {"experts", {2, 6, 8}}, {"bias", {2, 8}}});
  ModelBuilder b(folder.checkpoint());
  b.matrix("conv", 4, 6, {.of = 12, .first = 4, .transposed = true});
  b.stacked("experts", 2, 4, 6, {.of = 8, .first = 1, .step = 2, .transposed = true});
  b.columns("bias", 2, 4, {.of = 8, .first = 1, .step = 2});
  ASSERT_TRUE(b.status().ok()) << b.status().message();
  EXPECT_EQ(ref_of(b.graph(), "conv[4:8]"), "conv[0:6, 4:8] transposed");
  EXPECT_EQ(ref_of(b.graph(), "experts[1:8:2]"), "experts[0:6, 1:8:2] + experts[6:12, 1:8:2] transposed");
  EXPECT_EQ(ref_of(b.graph(), "bias[1:8:2]"), "bias[0:2, 1:8:2]");
}

TEST(Weights, SayWhichTensorDoesNotFit) {
  const Folder folder(plain(), {{"w.weight", {8, 6}}});
  const auto error = [&](const std::function<void(ModelBuilder&)>& ask) {
    ModelBuilder b(folder.checkpoint());
    ask(b);
    return std::string(b.status().message());
  };
  EXPECT_NE(error([](ModelBuilder& b) { b.weight("absent", {3}); }).find("absent"), std::string::npos);
  const std::string shape = error([](ModelBuilder& b) { b.matrix("w.weight", 4, 6, {.of = 9}); });
  EXPECT_NE(shape.find("w.weight: shape [8, 6], the configuration says [9, 6]"), std::string::npos) << shape;
}

ops::Rope rope_of(const json& more, const RopeFields& fields = {}) {
  const Folder folder(with(plain(), more));
  ModelBuilder b(folder.checkpoint());
  const ops::Rope rope = read_rope(b, read_rotary_dim(b, 8), 256, fields);
  EXPECT_TRUE(b.status().ok()) << b.status().message();
  return rope;
}

TEST(Rope, OldAndNewSpellingsAreTheSame) {
  const json yarn = {{"rope_type", "yarn"}, {"factor", 4.0}, {"original_max_position_embeddings", 64}};
  const ops::Rope now = rope_of({{"rope_parameters", with(yarn, {{"rope_theta", 500.0}, {"partial_rotary_factor", 0.5}})}});
  const ops::Rope old = rope_of({{"rope_theta", 500.0}, {"rope_scaling", yarn}, {"partial_rotary_factor", 0.5}});
  EXPECT_EQ(now.inv_freq.size(), 2u);
  EXPECT_EQ(now.inv_freq, old.inv_freq);
  EXPECT_EQ(now.magnitude, old.magnitude);
  EXPECT_GT(now.magnitude, 1);
}

TEST(Rope, AnObjectPerLayerTypeIsTold) {
  const json both = {{"full_attention", {{"rope_theta", 1e6}, {"rope_type", "linear"}, {"factor", 8.0}}},
                     {"sliding_attention", {{"rope_theta", 1e4}, {"rope_type", "default"}}}};
  const ops::Rope full = rope_of({{"rope_parameters", both}}, {.layer_type = "full_attention"});
  const ops::Rope sliding = rope_of({{"rope_parameters", both}}, {.layer_type = "sliding_attention"});
  EXPECT_EQ(full.inv_freq[0], 0.125);
  EXPECT_EQ(sliding.inv_freq[0], 1);
  EXPECT_NEAR(sliding.inv_freq[1], 0.1, 1e-12);
  const ops::Rope old = rope_of({{"rope_local_base_freq", 1e4}, {"rope_scaling", both["full_attention"]}},
                                {.theta_key = "rope_local_base_freq", .scaled = false});
  EXPECT_EQ(old.inv_freq, sliding.inv_freq);
}

TEST(Rope, LongropeHasTwoSets) {
  const json scaling = {{"type", "longrope"}, {"short_factor", {1, 1, 2, 2}}, {"long_factor", {2, 4, 8, 16}}};
  const json config = with(plain(), {{"rope_scaling", scaling}, {"original_max_position_embeddings", 64}});
  const Folder folder(config);
  ModelBuilder b(folder.checkpoint());
  const ops::Rope rope = read_rope(b, 8, 256);
  EXPECT_EQ(rope.inv_freq[0], 1);
  EXPECT_EQ(rope.long_inv_freq[0], 0.5);
  EXPECT_EQ(rope.long_inv_freq[1] * 4, rope.inv_freq[1]);
  const Result<BuiltModel> built = b.finish({});
  ASSERT_TRUE(built.ok()) << built.status().message();
  EXPECT_EQ(built->config.short_context, 64);

  json older = config;  // Phi-3's first name for it
  older["rope_scaling"]["type"] = "yarn";
  const Folder renamed(older);
  ModelBuilder same(renamed.checkpoint());
  EXPECT_EQ(read_rope(same, 8, 256).long_inv_freq, rope.long_inv_freq);

  ModelBuilder within(folder.checkpoint());  // a context that never outgrows the original one
  EXPECT_TRUE(read_rope(within, 8, 64).long_inv_freq.empty());
  EXPECT_EQ(within.finish({})->config.short_context, 0);
}

TEST(Rope, SaysWhatIsWrong) {
  const std::pair<json, const char*> cases[] = {
      {{{"rope_theta", -1.0}}, "rope_theta"},
      {{{"rope_scaling", {{"rope_type", "spiral"}}}}, "spiral"},
      {{{"rope_scaling", {{"rope_type", "linear"}}}}, "factor"},
      {{{"rope_scaling", {{"rope_type", "longrope"}, {"short_factor", {1, 2}}}}}, "short_factor"},
      {{{"partial_rotary_factor", 1.5}}, "partial_rotary_factor"},
      {{{"partial_rotary_factor", 0.2}}, "rotary dimensions"},
  };
  for (const auto& [change, named] : cases) {
    const Folder folder(with(plain(), change));
    ModelBuilder b(folder.checkpoint());
    read_rope(b, read_rotary_dim(b, 8), 256);
    EXPECT_NE(b.status().message().find(named), std::string::npos) << change << ": " << b.status().message();
  }
  const Folder folder(plain());
  ModelBuilder b(folder.checkpoint());
  read_rope(b, int64_t{1} << 30, 256);
  EXPECT_FALSE(b.status().ok());
}

}  // namespace
}  // namespace strata
