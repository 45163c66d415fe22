// GGUF metadata of a Hugging Face folder: the way back from config.json to the keys of gguf_keys.h.
#pragma once

#include <optional>
#include <string>

#include "base/status.h"
#include "model/format/checkpoint.h"

namespace strata {

class GgufWriter;
struct GgufConversion;

struct GgufFolderArchitecture {
  std::string gguf;                   // general.architecture
  bool permutes_rotary_rows = false;  // llama.cpp stores q and k with neighbouring rotary pairs
};

// By config.json's model_type; kInvalidArgument names an unknown one and the known.
Result<GgufFolderArchitecture> gguf_folder_architecture(const ConfigView& config);

// Fields that families or versions of transformers spell differently.
int64_t gguf_folder_experts(const ConfigView& config);  // 0: none
double gguf_folder_rope_theta(const ConfigView& config);
int64_t gguf_folder_rotary_dim(const ConfigView& config);  // negative: out of range
std::optional<ConfigView> gguf_folder_rope_scaling(const ConfigView& config);

Status write_gguf_folder_metadata(const Checkpoint& checkpoint, const GgufConversion& conversion, GgufWriter& writer);

}  // namespace strata
