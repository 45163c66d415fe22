// Defaults a model ships for sampling (generation_config.json, GGUF metadata); absent fields are the server's defaults.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace strata {

struct GenerationDefaults {
  std::optional<float> temperature;
  std::optional<float> top_p;
  std::optional<int> top_k;
  std::optional<float> min_p;
  std::optional<float> repetition_penalty;
  std::optional<int32_t> bos_id;
  std::vector<int32_t> eos_ids;  // ascending, each once
};

}  // namespace strata
