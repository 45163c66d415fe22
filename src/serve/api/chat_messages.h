// The messages of a chat, from the request's JSON to what a chat template reads. Internal to serve/api.
#pragma once

#include <nlohmann/json.hpp>

#include "serve/api/json_fields.h"

namespace strata::api {

// Any JSON value, keys in their order.
nlohmann::ordered_json to_json(JsonElement element);

// Checks roles and contents. Errors name the place, e.g. "messages[2].content".
Result<nlohmann::ordered_json> read_messages(const JsonFields& fields);

}  // namespace strata::api
