// The table of configuration fields that GGUF metadata and config.json spell differently but mean alike.
#pragma once

#include <string_view>

namespace strata {

enum class GgufKeyKind { kInt, kFloat, kBool };

struct GgufKey {
  std::string_view gguf;    // behind "ARCHITECTURE."
  std::string_view config;  // config.json
  GgufKeyKind kind;
};

inline constexpr GgufKey kGgufKeys[] = {
    {"context_length", "max_position_embeddings", GgufKeyKind::kInt},
    {"embedding_length", "hidden_size", GgufKeyKind::kInt},
    {"feed_forward_length", "intermediate_size", GgufKeyKind::kInt},
    {"attention.head_count", "num_attention_heads", GgufKeyKind::kInt},
    {"attention.head_count_kv", "num_key_value_heads", GgufKeyKind::kInt},
    {"attention.layer_norm_rms_epsilon", "rms_norm_eps", GgufKeyKind::kFloat},
    {"attention.layer_norm_epsilon", "layer_norm_eps", GgufKeyKind::kFloat},
    {"attention.sliding_window", "sliding_window", GgufKeyKind::kInt},
    {"attention.q_lora_rank", "q_lora_rank", GgufKeyKind::kInt},
    {"attention.kv_lora_rank", "kv_lora_rank", GgufKeyKind::kInt},
    {"rope.freq_base", "rope_theta", GgufKeyKind::kFloat},
    {"attn_logit_softcapping", "attn_logit_softcapping", GgufKeyKind::kFloat},
    {"final_logit_softcapping", "final_logit_softcapping", GgufKeyKind::kFloat},
    {"logit_scale", "logit_scale", GgufKeyKind::kFloat},
    {"expert_used_count", "num_experts_per_tok", GgufKeyKind::kInt},
    {"expert_feed_forward_length", "moe_intermediate_size", GgufKeyKind::kInt},
    {"expert_shared_feed_forward_length", "shared_expert_intermediate_size", GgufKeyKind::kInt},
    {"expert_shared_count", "n_shared_experts", GgufKeyKind::kInt},
    {"expert_group_count", "n_group", GgufKeyKind::kInt},
    {"expert_group_used_count", "topk_group", GgufKeyKind::kInt},
    {"expert_weights_scale", "routed_scaling_factor", GgufKeyKind::kFloat},
    {"expert_weights_norm", "norm_topk_prob", GgufKeyKind::kBool},
    {"leading_dense_block_count", "first_k_dense_replace", GgufKeyKind::kInt},
    {"nextn_predict_layers", "num_nextn_predict_layers", GgufKeyKind::kInt},
};

}  // namespace strata
