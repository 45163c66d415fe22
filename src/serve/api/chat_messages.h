// The messages of a chat, from the request's JSON to what a chat template reads. Internal to serve/api.
#pragma once

#include <nlohmann/json.hpp>

#include "serve/api/json_fields.h"

namespace strata::api {

// Any JSON value, keys in their order.
nlohmann::ordered_json to_json(JsonElement element);

// What a chat template is given, as the request has it.
struct ChatPrompt {
  // As sent. Contents are null (assistants that only call tools or think), text or lists of {"type": "text", "text"}.
  nlohmann::ordered_json messages;
  // add_generation_prompt, tools, documents, reasoning_effort and the fields of chat_template_kwargs.
  nlohmann::ordered_json variables = nlohmann::ordered_json::object();
  bool continue_final = false;      // continue_final_message: the model goes on with the last message
  bool add_special_tokens = false;  // beside those that the template writes
};

// Checks roles, contents and options. Errors name the place, e.g. "messages[2].content".
Result<ChatPrompt> read_chat_prompt(const JsonFields& fields);

}  // namespace strata::api
