// A model as loaded from disk: configuration, graph, weights by name, tokenizer, chat template, generation defaults.
// Immutable; shared by everything that runs it. Weights stay mapped until they are packed (`compute/graph/bind.h`).
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/text/chat_template.h"
#include "model/text/tokenizer.h"

namespace strata {

// Defaults a model ships for sampling (generation_config.json); absent fields are the server's defaults.
struct GenerationDefaults {
  std::optional<float> temperature;
  std::optional<float> top_p;
  std::optional<int> top_k;
  std::optional<float> repetition_penalty;
  std::vector<TokenId> eos_ids;
};

}  // namespace strata
