// The bodies of the API's requests, read and checked as far as that goes without the model. Internal to serve/api.
// Every error is kInvalidArgument and names the field in Status::param.
// Source: https://github.com/openai/openai-openapi; further fields as vLLM has them.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "serve/api/chat_messages.h"
#include "serve/api/generation_params.h"

namespace strata::api {

struct ChatRequest {
  std::string model;  // empty: not given
  GenerationParams params;
  ChatPrompt prompt;
  bool logprobs = false;
  int top_logprobs = 0;  // [0, 20]
};
Result<ChatRequest> parse_chat_request(std::string_view body);

// Text, or token ids.
using Prompt = std::variant<std::string, std::vector<TokenId>>;

class JsonFields;  // serve/api/json_fields.h
// The field `name`: text, token ids, or an array of at most `most` of either; none of them empty.
Result<std::vector<Prompt>> read_prompts(const JsonFields& fields, const std::string& name, size_t most);

struct CompletionRequest {
  std::string model;
  GenerationParams params;
  std::vector<Prompt> prompts;  // not empty, none of them empty
  bool echo = false;
  int logprobs = -1;  // [0, 20], -1: none
};
Result<CompletionRequest> parse_completion_request(std::string_view body);

// {"input": text, "parameters": {...}, "stream": bool}; the model is in the path.
struct PredictRequest {
  GenerationParams params;
  std::string input;
};
Result<PredictRequest> parse_predict_request(std::string_view body);

// Either text or a chat.
struct TokenizeRequest {
  std::string model;
  std::string prompt;
  std::optional<ChatPrompt> chat;
  bool add_special_tokens = true;  // of the text
};
Result<TokenizeRequest> parse_tokenize_request(std::string_view body);

// Fields as vLLM has them, and base_model_name where several models are served.
struct LoadAdapterRequest {
  std::string name;
  std::string folder;
  std::string base_model;  // empty: not given
  bool in_place = false;   // in the place of one with this name
};
Result<LoadAdapterRequest> parse_load_adapter_request(std::string_view body);
Result<std::string> parse_unload_adapter_request(std::string_view body);

struct DetokenizeRequest {
  std::string model;
  std::vector<TokenId> tokens;
};
Result<DetokenizeRequest> parse_detokenize_request(std::string_view body);

}  // namespace strata::api
