#include "model/format/tensor_names.h"

#include <gtest/gtest.h>

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
    {"llama", "rope_freqs.weight", "rope_freqs.weight"},
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
};

TEST(TensorNames, BothDirections) {
  for (const Case& c : kCases) {
    EXPECT_EQ(canonical_name(c.gguf, c.architecture), c.canonical);
    EXPECT_EQ(gguf_name(c.canonical, c.architecture), c.gguf);
  }
}

TEST(TensorNames, ReadOnlySpellings) {
  EXPECT_EQ(gguf_name("model.layers.0.block_sparse_moe.experts.w2.weight", "llama"), "blk.0.ffn_down_exps.weight");
  EXPECT_EQ(gguf_name("model.layers.0.block_sparse_moe.gate.weight", "llama"), "blk.0.ffn_gate_inp.weight");
  EXPECT_EQ(canonical_name("blk.0.ffn_gate.7.weight", "llama"), "model.layers.0.mlp.experts.7.gate_proj.weight");
}

TEST(TensorNames, UnknownNames) {
  for (const char* name :
       {"", "blk", "blk.", "blk..attn_q.weight", "blk.x.attn_q.weight", "blk.0.attn_q", "blk.0.attn_q.scale",
        "blk.0.new_thing.weight", "blk.99999999999999999999.attn_q.weight", "v.patch_embd.weight"}) {
    EXPECT_EQ(canonical_name(name, "llama"), name);
  }
  EXPECT_EQ(gguf_name("model.layers.0.self_attn.new.weight", "llama"), std::nullopt);
  EXPECT_EQ(gguf_name("transformer.wte.weight", "llama"), std::nullopt);
  EXPECT_EQ(gguf_name("", "llama"), std::nullopt);
}

TEST(TensorNames, Experts) {
  const auto name = split_expert_name("model.layers.3.mlp.experts.17.up_proj.weight");
  ASSERT_TRUE(name.has_value());
  EXPECT_EQ(name->stacked, "model.layers.3.mlp.experts.up_proj.weight");
  EXPECT_EQ(name->expert, 17);
  EXPECT_EQ(split_expert_name("model.layers.3.mlp.experts.up_proj.weight"), std::nullopt);
  EXPECT_EQ(split_expert_name("model.layers.3.mlp.shared_experts.up_proj.weight"), std::nullopt);
}

}  // namespace
}  // namespace strata
