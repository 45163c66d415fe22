// The configuration of a GGUF file as Hugging Face's config.json would spell it, from its metadata and tensors.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string_view>

#include "model/format/generation_defaults.h"

namespace strata {

class GgufFile;

// Adds `gguf_architecture` and, where llama.cpp rotates neighbouring pairs, `rope_interleaved: true`. Keys the file
// does not have are left out, except where llama.cpp's default differs from the one of Hugging Face's configuration
// class. `parts`: the files of a model, at least one; metadata is read from the first.
nlohmann::json gguf_config(std::span<const GgufFile> parts);

// Sampling defaults and the ids that end an answer.
GenerationDefaults gguf_generation_defaults(const GgufFile& file);

// True where llama.cpp rotates neighbouring pairs (2i, 2i + 1) for this general.architecture.
bool gguf_rope_interleaved(std::string_view architecture);

}  // namespace strata
