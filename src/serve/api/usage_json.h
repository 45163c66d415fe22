// The `usage` object of answers. Internal to serve/api.
#pragma once

#include <nlohmann/json.hpp>

#include "engine/request.h"

namespace strata::api {

inline nlohmann::ordered_json usage_json(const Usage& usage) {
  return {{"prompt_tokens", usage.prompt_tokens},
          {"completion_tokens", usage.completion_tokens},
          {"total_tokens", usage.prompt_tokens + usage.completion_tokens},
          {"prompt_tokens_details", {{"cached_tokens", usage.cached_tokens}}}};
}

// "stop" or "length"; null while a choice goes on.
inline nlohmann::ordered_json finish_json(FinishReason finish) {
  if (finish == FinishReason::kNone) return nullptr;
  return finish == FinishReason::kLength ? "length" : "stop";
}

}  // namespace strata::api
