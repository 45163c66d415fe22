// The chat template that a model brings, as text.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/status.h"
#include "model/format/checkpoint.h"

namespace strata {

// Wherever the files keep it: GGUF metadata, chat_template.jinja, chat_template.json or tokenizer_config.json. nullopt
// when there is none.
Result<std::optional<std::string>> chat_template_source(const Checkpoint& checkpoint);
Result<std::optional<std::string>> chat_template_source(const std::filesystem::path& folder);

}  // namespace strata
