#include "model/format/tensor_names.h"

#include <charconv>
#include <span>

namespace strata {
namespace {

// One module of a layer: its GGUF name behind "blk.N.", its canonical name behind "model.layers.N.", both without
// ".weight" / ".bias". Rows for one architecture stand before the general row they override; within each direction the
// first match wins, so a second canonical spelling of a GGUF name is read but never produced.
struct Row {
  std::string_view gguf;
  std::string_view canonical;
  std::string_view architecture = {};  // a prefix of general.architecture ("gemma" for gemma2, gemma3); empty: all
};

constexpr Row kLayerRows[] = {
    {"ffn_norm", "pre_feedforward_layernorm", "gemma"},
    {"post_attention_norm", "post_attention_layernorm", "gemma"},
    {"post_attention_norm", "post_attention_layernorm", "olmo2"},
    {"ffn_gate_shexp", "mlp.shared_expert.gate_proj", "qwen"},
    {"ffn_up_shexp", "mlp.shared_expert.up_proj", "qwen"},
    {"ffn_down_shexp", "mlp.shared_expert.down_proj", "qwen"},

    {"attn_norm", "input_layernorm"},
    {"attn_q", "self_attn.q_proj"},
    {"attn_k", "self_attn.k_proj"},
    {"attn_v", "self_attn.v_proj"},
    {"attn_qkv", "self_attn.qkv_proj"},
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
    {"nextn.eh_proj", "eh_proj"},
    {"nextn.embed_tokens", "embed_tokens"},
    {"nextn.enorm", "enorm"},
    {"nextn.hnorm", "hnorm"},
    {"nextn.shared_head_head", "shared_head.head"},
    {"nextn.shared_head_norm", "shared_head.norm"},

    {"ffn_gate_inp", "block_sparse_moe.gate"},  // Mixtral's spelling
    {"ffn_gate_exps", "block_sparse_moe.experts.w1"},
    {"ffn_up_exps", "block_sparse_moe.experts.w3"},
    {"ffn_down_exps", "block_sparse_moe.experts.w2"},
};

// Whole names that do not follow "module.weight".
constexpr Row kLayerNames[] = {
    {"exp_probs_b.bias", "mlp.gate.e_score_correction_bias"},
    {"attn_sinks.weight", "self_attn.sinks"},
};

constexpr Row kModelRows[] = {
    {"token_embd", "model.embed_tokens"},
    {"output_norm", "model.norm"},
    {"output", "lm_head"},
};

constexpr std::string_view kGgufLayer = "blk.";
constexpr std::string_view kCanonicalLayer = "model.layers.";

// "blk.12.attn_q.weight" with prefix "blk." -> number "12", rest "attn_q.weight".
struct LayerName {
  std::string_view number;
  std::string_view rest;
};
std::optional<LayerName> split_layer(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return std::nullopt;
  name.remove_prefix(prefix.size());
  const size_t dot = name.find('.');
  if (dot == 0 || dot == std::string_view::npos || dot > 9) return std::nullopt;
  const std::string_view number = name.substr(0, dot);
  if (number.find_first_not_of("0123456789") != std::string_view::npos) return std::nullopt;
  return LayerName{number, name.substr(dot + 1)};
}

// Translates `name` (module + ".weight" or ".bias") from one column of `rows` to the other.
std::optional<std::string> translate(std::span<const Row> rows, std::string_view name, std::string_view Row::*from,
                                     std::string_view Row::*to, std::string_view architecture) {
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return std::nullopt;
  const std::string_view suffix = name.substr(dot);
  if (suffix != ".weight" && suffix != ".bias") return std::nullopt;
  for (const Row& row : rows) {
    if (row.*from == name.substr(0, dot) && architecture.starts_with(row.architecture)) {
      return std::string(row.*to) + std::string(suffix);
    }
  }
  return std::nullopt;
}

std::optional<std::string> translate_in_layer(std::string_view name, std::string_view Row::*from,
                                              std::string_view Row::*to, std::string_view architecture) {
  for (const Row& row : kLayerNames) {
    if (row.*from == name) return std::string(row.*to);
  }
  return translate(kLayerRows, name, from, to, architecture);
}

// The old form with one tensor per expert: "ffn_gate.7.weight" -> "mlp.experts.7.gate_proj.weight".
std::optional<std::string> single_expert(std::string_view rest) {
  constexpr Row kExperts[] = {{"ffn_gate.", "gate_proj"}, {"ffn_up.", "up_proj"}, {"ffn_down.", "down_proj"}};
  for (const Row& row : kExperts) {
    const auto parts = split_layer(rest, row.gguf);
    if (parts && parts->rest == "weight") {
      return "mlp.experts." + std::string(parts->number) + "." + std::string(row.canonical) + ".weight";
    }
  }
  return std::nullopt;
}

}  // namespace

std::string canonical_name(std::string_view gguf_name, std::string_view architecture) {
  if (const auto layer = split_layer(gguf_name, kGgufLayer)) {
    auto name = translate_in_layer(layer->rest, &Row::gguf, &Row::canonical, architecture);
    if (!name) name = single_expert(layer->rest);
    if (name) return std::string(kCanonicalLayer) + std::string(layer->number) + "." + *name;
    return std::string(gguf_name);
  }
  return translate(kModelRows, gguf_name, &Row::gguf, &Row::canonical, architecture).value_or(std::string(gguf_name));
}

std::optional<std::string> gguf_name(std::string_view canonical, std::string_view architecture) {
  if (canonical.starts_with("rope_f")) return std::string(canonical);  // rope_freqs, rope_factors_long and _short
  if (const auto layer = split_layer(canonical, kCanonicalLayer)) {
    const auto name = translate_in_layer(layer->rest, &Row::canonical, &Row::gguf, architecture);
    if (!name) return std::nullopt;
    return std::string(kGgufLayer) + std::string(layer->number) + "." + *name;
  }
  return translate(kModelRows, canonical, &Row::canonical, &Row::gguf, architecture);
}

std::optional<ExpertTensorName> split_expert_name(std::string_view canonical) {
  constexpr std::string_view kExperts = ".experts.";
  const size_t experts = canonical.find(kExperts);
  if (experts == std::string_view::npos) return std::nullopt;
  const auto parts = split_layer(canonical.substr(experts), kExperts);
  if (!parts) return std::nullopt;
  ExpertTensorName out;
  std::from_chars(parts->number.data(), parts->number.data() + parts->number.size(), out.expert);
  out.stacked = std::string(canonical.substr(0, experts + kExperts.size())) + std::string(parts->rest);
  return out;
}

}  // namespace strata
