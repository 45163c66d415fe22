// Tensor names of GGUF files (as llama.cpp writes them) and of Hugging Face folders, translated by one table in both
// directions. Names without a translation stay as they are ("rope_freqs.weight").
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace strata {

// "blk.3.attn_q.weight" -> "model.layers.3.self_attn.q_proj.weight". `architecture`: general.architecture; it decides
// only where one GGUF name has two meanings (ffn_norm of gemma2). Experts come out stacked:
// "...mlp.experts.up_proj.weight".
std::string canonical_name(std::string_view gguf_name, std::string_view architecture);

// The way back: nullopt when GGUF has no name for it. Understands Mixtral's names (block_sparse_moe.experts.w1) too.
std::optional<std::string> gguf_name(std::string_view canonical, std::string_view architecture);

// One expert's tensor of a folder: "model.layers.3.mlp.experts.7.up_proj.weight" ->
// "model.layers.3.mlp.experts.up_proj.weight", 7.
struct ExpertTensorName {
  std::string stacked;
  int64_t expert = 0;
};
std::optional<ExpertTensorName> split_expert_name(std::string_view canonical);

}  // namespace strata
