// The configuration of a GGUF file as Hugging Face's config.json would spell it, from its metadata and tensors.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string_view>

#include "base/status.h"
#include "model/format/generation_defaults.h"
#include "model/format/gguf_architectures.h"

namespace strata {

class GgufFile;

// Adds `gguf_architecture` and the fields that say what lies differently in GGUF's bytes (docs/adr/0002). Keys the file
// does not have are left out, except where llama.cpp's default differs from the one of Hugging Face's configuration
// class. Fields that GGUF has no key for stand as JSON in a key of our own (kGgufConfigKey). `parts`: the files of a
// model, at least one; metadata is read from the first.
Result<nlohmann::json> gguf_config(std::span<const GgufFile> parts);
inline constexpr std::string_view kGgufConfigKey = "strata.config";

// Sampling defaults and the ids that end an answer.
GenerationDefaults gguf_generation_defaults(const GgufFile& file);

// The entry of the tables that a file belongs to; one with shared names only when none does.
const GgufArchitecture& gguf_architecture(std::span<const GgufFile> parts);

}  // namespace strata
