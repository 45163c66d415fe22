// What config.json says, in the terms of GGUF: fields that families or versions of transformers spell differently.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "model/format/checkpoint.h"
#include "model/format/gguf_architectures.h"

namespace strata {

// The entry of the tables for a folder: by config.json's model_type, then by the tensors it has; kInvalidArgument names
// an unknown type and the known ones.
Result<const GgufArchitecture*> gguf_folder_architecture(const Checkpoint& checkpoint);

// The configuration of the text model: config.json itself, or its text_config where a folder has more than text.
ConfigView gguf_folder_config(const Checkpoint& checkpoint);
// A tensor's name as the text model alone has it ("language_model.model.norm.weight" -> "model.norm.weight"); nullopt
// for the other parts of a folder that has more than text.
std::optional<std::string> gguf_folder_text_name(const Checkpoint& checkpoint, std::string_view name);

// The field of config.json for a GGUF key, as the tables translate it; else what the entry implies.
std::optional<int64_t> gguf_folder_int(const ConfigView& config, const GgufArchitecture& entry, std::string_view key);

bool gguf_folder_tied(const ConfigView& config);
int64_t gguf_folder_experts(const ConfigView& config);  // 0: none
int64_t gguf_folder_kv_heads(const ConfigView& config, const GgufArchitecture& entry);
std::optional<int64_t> gguf_folder_head_dim(const ConfigView& config, const GgufArchitecture& entry);
int64_t gguf_folder_rotary_dim(const ConfigView& config, const GgufArchitecture& entry);  // negative: out of range

// By what queries are multiplied so that llama.cpp's scale of the scores gives the configuration's; 1: by nothing.
double gguf_folder_query_factor(const ConfigView& config, const GgufArchitecture& entry);

}  // namespace strata
