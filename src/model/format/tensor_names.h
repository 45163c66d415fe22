// Tensor names of GGUF files (as llama.cpp writes them) and of Hugging Face folders, translated by the tables of
// gguf_architectures.h in both directions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/format/gguf_architectures.h"

namespace strata {

// What one GGUF tensor is called in a folder: one name; or, where folders have several tensors for it, the names of
// those whose rows follow one another in it ("...q_proj.weight", "...k_proj.weight", "...v_proj.weight"), or one name
// with "%" in the place of the index of its first dimension. Experts come out stacked:
// "...mlp.experts.up_proj.weight". A name without a translation stays as it is ("rope_freqs.weight").
// "blk.3.attn_q.weight" -> "model.layers.3.self_attn.q_proj.weight".
std::vector<std::string> canonical_names(std::string_view gguf_name, const GgufArchitecture& architecture);

// The way back for one tensor of a folder: nullopt when GGUF has no name for it. Understands folders that lack the
// entry's base ("layers.0..." for "model.layers.0...") and other spellings (Mixtral's block_sparse_moe.experts.w1).
struct GgufName {
  std::string name;
  int64_t index = -1;  // >= 0: one of the tensors that are stacked to this one
};
std::optional<GgufName> gguf_name(std::string_view canonical, const GgufArchitecture& architecture);

// Of a name in a folder's layer: "model.layers.3.mlp.gate.weight" -> 3, "mlp.gate.weight"; nullopt outside layers.
struct LayerName {
  int64_t layer = 0;
  std::string_view rest;
};
std::optional<LayerName> split_layer_name(std::string_view canonical, const GgufArchitecture& architecture);

}  // namespace strata
