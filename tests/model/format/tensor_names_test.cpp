#include "model/format/tensor_names.h"

#include <gtest/gtest.h>

#include <set>

namespace strata {
namespace {

struct Case {
  const char* architecture;
  const char* gguf;
  const char* canonical;
};

// Both directions.
constexpr Case kCases[] = {
    {"llama", "token_embd.weight", "model.embed_tokens.weight"},
    {"llama", "output_norm.weight", "model.norm.weight"},
    {"llama", "output.weight", "lm_head.weight"},
    {"llama", "blk.0.attn_norm.weight", "model.layers.0.input_layernorm.weight"},
    {"llama", "blk.12.attn_q.weight", "model.layers.12.self_attn.q_proj.weight"},
    {"qwen2", "blk.3.attn_k.bias", "model.layers.3.self_attn.k_proj.bias"},
    {"llama", "blk.3.attn_output.weight", "model.layers.3.self_attn.o_proj.weight"},
    {"llama", "blk.3.ffn_norm.weight", "model.layers.3.post_attention_layernorm.weight"},
    {"llama", "blk.3.ffn_down.weight", "model.layers.3.mlp.down_proj.weight"},
    {"qwen3moe", "blk.1.attn_q_norm.weight", "model.layers.1.self_attn.q_norm.weight"},
    {"qwen3moe", "blk.1.ffn_gate_inp.weight", "model.layers.1.mlp.gate.weight"},
    {"qwen3moe", "blk.1.ffn_up_exps.weight", "model.layers.1.mlp.experts.up_proj.weight"},
    {"qwen2moe", "blk.1.ffn_up_shexp.weight", "model.layers.1.mlp.shared_expert.up_proj.weight"},
    {"qwen2moe", "blk.1.ffn_gate_inp_shexp.weight", "model.layers.1.mlp.shared_expert_gate.weight"},
    {"deepseek2", "blk.5.ffn_down_shexp.weight", "model.layers.5.mlp.shared_experts.down_proj.weight"},
    {"deepseek2", "blk.5.exp_probs_b.bias", "model.layers.5.mlp.gate.e_score_correction_bias"},
    {"deepseek2", "blk.5.attn_q_a.weight", "model.layers.5.self_attn.q_a_proj.weight"},
    {"deepseek2", "blk.5.attn_q_a_norm.weight", "model.layers.5.self_attn.q_a_layernorm.weight"},
    {"deepseek2", "blk.5.attn_q_b.weight", "model.layers.5.self_attn.q_b_proj.weight"},
    {"deepseek2", "blk.5.attn_kv_a_mqa.weight", "model.layers.5.self_attn.kv_a_proj_with_mqa.weight"},
    {"deepseek2", "blk.5.attn_kv_a_norm.weight", "model.layers.5.self_attn.kv_a_layernorm.weight"},
    {"deepseek2", "blk.5.attn_kv_b.weight", "model.layers.5.self_attn.kv_b_proj.weight"},
    {"deepseek2", "blk.5.attn_k_b.weight", "model.layers.5.self_attn.k_b_proj.weight"},
    {"deepseek2", "blk.5.attn_v_b.weight", "model.layers.5.self_attn.v_b_proj.weight"},
    {"gemma2", "blk.2.ffn_norm.weight", "model.layers.2.pre_feedforward_layernorm.weight"},
    {"gemma2", "blk.2.post_attention_norm.weight", "model.layers.2.post_attention_layernorm.weight"},
    {"gemma2", "blk.2.post_ffw_norm.weight", "model.layers.2.post_feedforward_layernorm.weight"},
    {"gemma", "blk.2.ffn_norm.weight", "model.layers.2.post_attention_layernorm.weight"},
    {"gpt2", "token_embd.weight", "transformer.wte.weight"},
    {"gpt2", "position_embd.weight", "transformer.wpe.weight"},
    {"gpt2", "blk.0.attn_qkv.bias", "transformer.h.0.attn.c_attn.bias"},
    {"gpt2", "output.weight", "lm_head.weight"},
    {"phi3", "blk.0.attn_qkv.weight", "model.layers.0.self_attn.qkv_proj.weight"},
    {"phi3", "blk.0.ffn_up.weight", "model.layers.0.mlp.gate_up_proj.weight"},
    {"gpt-oss", "blk.0.attn_sinks.weight", "model.layers.0.self_attn.sinks"},
    {"gpt-oss", "blk.0.ffn_gate_inp.bias", "model.layers.0.mlp.router.bias"},
    {"glm4", "blk.0.post_attention_norm.weight", "model.layers.0.post_self_attn_layernorm.weight"},
    {"gptneox", "blk.0.attn_qkv.weight", "gpt_neox.layers.0.attention.query_key_value.weight"},
    {"gptneox", "output.weight", "embed_out.weight"},
    {"falcon", "blk.0.attn_qkv.weight", "transformer.h.0.self_attention.query_key_value.weight"},
    {"nomic-bert", "blk.0.ffn_gate.weight", "encoder.layers.0.mlp.fc12.weight"},
    {"modern-bert", "token_embd_norm.weight", "embeddings.norm.weight"},
};

// The last entry of a GGUF name: the plain one.
const GgufArchitecture& entry(std::string_view gguf) {
  const GgufArchitecture* out = nullptr;
  find_gguf_architecture([&](const GgufArchitecture& e) {
    if (e.gguf == gguf && (out == nullptr || e.evidence.empty())) out = &e;
    return false;
  });
  EXPECT_NE(out, nullptr) << gguf;
  return *out;
}

std::string one_name(std::string_view gguf, std::string_view architecture) {
  const auto names = canonical_names(gguf, entry(architecture));
  return names.size() == 1 ? names[0] : "several";
}

std::string name_in_gguf(std::string_view canonical, std::string_view architecture) {
  const auto name = gguf_name(canonical, entry(architecture));
  return name ? name->name : "none";
}

TEST(TensorNames, BothDirections) {
  for (const Case& c : kCases) {
    EXPECT_EQ(one_name(c.gguf, c.architecture), c.canonical);
    EXPECT_EQ(name_in_gguf(c.canonical, c.architecture), c.gguf);
  }
}

// Every row of every entry, there and back.
TEST(TensorNames, EveryRowComesBack) {
  find_gguf_architecture([&](const GgufArchitecture& e) {
    std::set<std::string> seen;
    for (const GgufNameRow& row : e.layer_rows) {
      if (row.published.find('|') != std::string_view::npos || !seen.emplace(row.gguf).second) continue;
      const bool whole = row.published.ends_with('!');
      const std::string gguf = "blk.7." + std::string(row.gguf) + (whole ? "" : ".weight");
      const auto names = canonical_names(gguf, e);
      EXPECT_EQ(names.size(), 1u) << gguf;
      std::string name = names[0];
      if (const size_t mark = name.find('%'); mark != std::string::npos) name.replace(mark, 1, "5");
      const auto back = gguf_name(name, e);
      EXPECT_TRUE(back.has_value()) << e.gguf << " " << name;
      EXPECT_EQ(back ? back->name : "none", gguf) << e.gguf;
      EXPECT_EQ(back && back->index == 5, names[0] != name) << name;
    }
    return false;
  });
}

TEST(TensorNames, OtherSpellings) {
  EXPECT_EQ(name_in_gguf("layers.3.self_attn.q_proj.weight", "qwen3"), "blk.3.attn_q.weight");  // without its base
  EXPECT_EQ(name_in_gguf("h.3.attn.c_attn.weight", "gpt2"), "blk.3.attn_qkv.weight");
  EXPECT_EQ(name_in_gguf("wte.weight", "gpt2"), "token_embd.weight");
  EXPECT_EQ(one_name("blk.0.ffn_gate.7.weight", "qwen3moe"), "model.layers.0.mlp.experts.7.gate_proj.weight");
}

TEST(TensorNames, MixtralAndOldFilesOfIt) {
  const GgufArchitecture* mixtral =
      find_gguf_architecture([](const GgufArchitecture& e) { return e.model_type == "mixtral"; });
  ASSERT_NE(mixtral, nullptr);
  EXPECT_EQ(canonical_names("blk.0.ffn_down_exps.weight", *mixtral),
            std::vector<std::string>{"model.layers.0.block_sparse_moe.experts.w2.weight"});
  EXPECT_EQ(canonical_names("blk.0.ffn_gate.7.weight", *mixtral),
            std::vector<std::string>{"model.layers.0.block_sparse_moe.experts.7.w1.weight"});
  const auto expert = gguf_name("model.layers.0.block_sparse_moe.experts.17.w3.weight", *mixtral);
  ASSERT_TRUE(expert.has_value());
  EXPECT_EQ(expert->name, "blk.0.ffn_up_exps.weight");
  EXPECT_EQ(expert->index, 17);
}

TEST(TensorNames, JoinedTensors) {
  EXPECT_EQ(canonical_names("blk.1.attn_qkv.bias", entry("phi2")),
            (std::vector<std::string>{"model.layers.1.self_attn.q_proj.bias", "model.layers.1.self_attn.k_proj.bias",
                                      "model.layers.1.self_attn.v_proj.bias"}));
}

TEST(TensorNames, UnknownNames) {
  for (const char* name :
       {"", "blk", "blk.", "blk..attn_q.weight", "blk.x.attn_q.weight", "blk.0.attn_q", "blk.0.attn_q.scale",
        "blk.0.new_thing.weight", "blk.99999999999999999999.attn_q.weight", "v.patch_embd.weight"}) {
    EXPECT_EQ(one_name(name, "llama"), name);
  }
  EXPECT_EQ(name_in_gguf("model.layers.0.self_attn.new.weight", "llama"), "none");
  EXPECT_EQ(name_in_gguf("transformer.wte.weight", "llama"), "none");
  EXPECT_EQ(name_in_gguf("", "llama"), "none");
}

TEST(TensorNames, Experts) {
  const auto name = gguf_name("model.layers.3.mlp.experts.17.up_proj.weight", entry("qwen3moe"));
  ASSERT_TRUE(name.has_value());
  EXPECT_EQ(name->name, "blk.3.ffn_up_exps.weight");
  EXPECT_EQ(name->index, 17);
  EXPECT_EQ(gguf_name("model.layers.3.mlp.experts.up_proj.weight", entry("qwen3moe"))->index, -1);
}

}  // namespace
}  // namespace strata
