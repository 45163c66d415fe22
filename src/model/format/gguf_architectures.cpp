#include "model/format/gguf_architectures.h"

#include <algorithm>

namespace strata {
namespace {

using Kind = GgufKeyKind;

constexpr GgufNameRow kSharedLayers[] = {
    {"attn_norm", "input_layernorm"},
    {"attn_q", "self_attn.q_proj"},
    {"attn_k", "self_attn.k_proj"},
    {"attn_v", "self_attn.v_proj"},
    {"attn_qkv", "self_attn.q_proj|self_attn.k_proj|self_attn.v_proj"},
    {"attn_output", "self_attn.o_proj"},
    {"attn_q_norm", "self_attn.q_norm"},
    {"attn_k_norm", "self_attn.k_norm"},
    {"attn_q_a", "self_attn.q_a_proj"},
    {"attn_q_a_norm", "self_attn.q_a_layernorm"},
    {"attn_q_b", "self_attn.q_b_proj"},
    {"attn_kv_a_mqa", "self_attn.kv_a_proj_with_mqa"},
    {"attn_kv_a_norm", "self_attn.kv_a_layernorm"},
    {"attn_kv_b", "self_attn.kv_b_proj"},
    {"attn_k_b", "self_attn.k_b_proj"},
    {"attn_v_b", "self_attn.v_b_proj"},
    {"attn_sinks.weight", "self_attn.sinks!"},
    {"ffn_norm", "post_attention_layernorm"},
    {"post_attention_norm", "post_attention_layernorm"},
    {"post_ffw_norm", "post_feedforward_layernorm"},
    {"ffn_gate", "mlp.gate_proj"},
    {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"},
    {"ffn_gate_inp", "mlp.gate"},
    {"ffn_gate_exps", "mlp.experts.gate_proj"},
    {"ffn_up_exps", "mlp.experts.up_proj"},
    {"ffn_down_exps", "mlp.experts.down_proj"},
    {"ffn_gate_shexp", "mlp.shared_experts.gate_proj"},
    {"ffn_up_shexp", "mlp.shared_experts.up_proj"},
    {"ffn_down_shexp", "mlp.shared_experts.down_proj"},
    {"ffn_gate_inp_shexp", "mlp.shared_expert_gate"},
    {"exp_probs_b.bias", "mlp.gate.e_score_correction_bias!"},
    {"nextn.eh_proj", "eh_proj"},
    {"nextn.embed_tokens", "embed_tokens"},
    {"nextn.enorm", "enorm"},
    {"nextn.hnorm", "hnorm"},
    {"nextn.shared_head_head", "shared_head.head"},
    {"nextn.shared_head_norm", "shared_head.norm"},
};

constexpr GgufNameRow kSharedModel[] = {
    {"token_embd", "@embed_tokens"},
    {"output_norm", "@norm"},
    {"output", "lm_head"},
};

constexpr GgufKey kSharedKeys[] = {
    {"context_length", "max_position_embeddings", Kind::kInt},
    {"embedding_length", "hidden_size", Kind::kInt},
    {"feed_forward_length", "intermediate_size", Kind::kInt},
    {"attention.head_count", "num_attention_heads", Kind::kInt},
    {"attention.head_count_kv", "num_key_value_heads", Kind::kInt},
    {"attention.layer_norm_rms_epsilon", "rms_norm_eps", Kind::kFloat},
    {"attention.layer_norm_epsilon", "layer_norm_eps", Kind::kFloat},
    {"attention.sliding_window", "sliding_window", Kind::kInt},
    {"attention.q_lora_rank", "q_lora_rank", Kind::kInt},
    {"attention.kv_lora_rank", "kv_lora_rank", Kind::kInt},
    {"rope.freq_base", "rope_theta", Kind::kFloat},
    {"attn_logit_softcapping", "attn_logit_softcapping", Kind::kFloat},
    {"final_logit_softcapping", "final_logit_softcapping", Kind::kFloat},
    {"logit_scale", "logit_scale", Kind::kFloat},
    {"use_parallel_residual", "use_parallel_residual", Kind::kBool},
    {"attention.clamp_kqv", "clip_qkv", Kind::kFloat},
    {"pooling_type", "gguf_pooling_type", Kind::kInt},  // folders say it in files of their own
    {"expert_used_count", "num_experts_per_tok", Kind::kInt},
    {"expert_feed_forward_length", "moe_intermediate_size", Kind::kInt},
    {"expert_shared_feed_forward_length", "shared_expert_intermediate_size", Kind::kInt},
    {"expert_shared_count", "n_shared_experts", Kind::kInt},
    {"expert_group_count", "n_group", Kind::kInt},
    {"expert_group_used_count", "topk_group", Kind::kInt},
    {"expert_weights_scale", "routed_scaling_factor", Kind::kFloat},
    {"expert_weights_norm", "norm_topk_prob", Kind::kBool},
    {"leading_dense_block_count", "first_k_dense_replace", Kind::kInt},
    {"nextn_predict_layers", "num_nextn_predict_layers", Kind::kInt},
};

constexpr std::string_view kInterleavedArchitectures[] = {
    "llama",     "llama4",     "deci",    "baichuan", "starcoder", "internlm2",    "minicpm",  "xverse",  "command-r",
    "cohere2",   "olmo",       "arctic",  "deepseek", "deepseek2", "plm",          "chatglm",  "granite", "granitemoe",
    "chameleon", "bailingmoe", "smollm3", "arcee",    "ernie4_5",  "ernie4_5-moe", "mistral3",
};

}  // namespace

const GgufArchitecture* find_gguf_architecture(const std::function<bool(const GgufArchitecture&)>& matches) {
  for (const auto& entries : {gguf_decoders(), gguf_encoders()}) {
    const auto found = std::find_if(entries.begin(), entries.end(), matches);
    if (found != entries.end()) return &*found;
  }
  return nullptr;
}

std::span<const GgufNameRow> shared_layer_rows() { return kSharedLayers; }
std::span<const GgufNameRow> shared_model_rows() { return kSharedModel; }
std::span<const GgufKey> shared_gguf_keys() { return kSharedKeys; }

bool gguf_rope_interleaved(std::string_view architecture) {
  return std::find(std::begin(kInterleavedArchitectures), std::end(kInterleavedArchitectures), architecture) !=
         std::end(kInterleavedArchitectures);
}

}  // namespace strata
