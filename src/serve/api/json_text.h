// JSON to bytes: compact, always valid UTF-8 (what is not becomes U+FFFD).
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace strata::api {

std::string json_text(const nlohmann::ordered_json& value);

}  // namespace strata::api
