#include "serve/api/api_requests.h"

#include "serve/api/json_fields.h"

namespace strata::api {
namespace {

namespace dom = simdjson::dom;

constexpr int kMaxLogprobs = 20;
constexpr size_t kMaxPrompts = 1024;

Status read_chat_logprobs(const JsonFields& fields, ChatRequest& out) {
  RETURN_IF_ERROR(fields.read_bool("logprobs", out.logprobs));
  RETURN_IF_ERROR(fields.read_integer("top_logprobs", 0, kMaxLogprobs, out.top_logprobs));
  if (out.top_logprobs > 0 && !out.logprobs) {
    return invalid_argument("top_logprobs is only allowed with logprobs: true", "top_logprobs");
  }
  return ok_status();
}

Status read_completion_fields(const JsonFields& fields, CompletionRequest& out) {
  RETURN_IF_ERROR(fields.read_string("model", out.model));
  RETURN_IF_ERROR(read_generation_params(fields, out.params));
  ASSIGN_OR_RETURN(out.prompts, read_prompts(fields, "prompt", kMaxPrompts));
  RETURN_IF_ERROR(fields.read_bool("echo", out.echo));
  RETURN_IF_ERROR(fields.read_integer("logprobs", 0, kMaxLogprobs, out.logprobs));
  int best_of = out.params.n;
  RETURN_IF_ERROR(fields.read_integer("best_of", 1, 128, best_of));
  if (best_of != out.params.n) {
    return invalid_argument("best_of other than n is not supported (leave it out)", "best_of");
  }
  std::string suffix;
  RETURN_IF_ERROR(fields.read_string("suffix", suffix));
  if (!suffix.empty()) return invalid_argument("suffix is not supported (leave it out)", "suffix");
  if (out.prompts.size() * static_cast<size_t>(out.params.n) > kMaxPrompts) {
    return invalid_argument("prompts x n is over " + std::to_string(kMaxPrompts), "n");
  }
  return ok_status();
}

}  // namespace

Result<std::vector<Prompt>> read_prompts(const JsonFields& fields, const std::string& name, size_t most) {
  const auto element = fields.find(name);
  if (!element) return invalid_argument(name + " is missing", name);
  std::vector<Prompt> prompts;
  std::string_view text;
  dom::array array;
  if (!element->get(text)) {
    prompts.emplace_back(std::string(text));
  } else if (element->get(array)) {
    return fields.wrong_type(name, "a string or an array", *element);
  } else if (array.size() > 0 && array.at(0).is_number()) {
    ASSIGN_OR_RETURN(std::vector<TokenId> ids, read_token_ids(*element, name));
    prompts.emplace_back(std::move(ids));
  } else {
    for (const JsonElement item : array) {
      if (prompts.size() == most) {
        return invalid_argument(name + " has more than " + std::to_string(most) + " entries", name);
      }
      if (!item.get(text)) {
        prompts.emplace_back(std::string(text));
        continue;
      }
      ASSIGN_OR_RETURN(std::vector<TokenId> ids,
                       read_token_ids(item, name + "[" + std::to_string(prompts.size()) + "]"));
      prompts.emplace_back(std::move(ids));
    }
  }
  if (prompts.empty()) return invalid_argument(name + " is empty", name);
  for (const Prompt& prompt : prompts) {
    if (std::visit([](const auto& value) { return value.empty(); }, prompt)) {
      return invalid_argument(name + " is empty", name);
    }
  }
  return prompts;
}

Result<ChatRequest> parse_chat_request(std::string_view body) {
  JsonBody json;
  RETURN_IF_ERROR(json.parse(body));
  const JsonFields fields(json.object());
  ChatRequest out;
  RETURN_IF_ERROR(fields.read_string("model", out.model));
  RETURN_IF_ERROR(read_generation_params(fields, out.params));
  if (out.params.max_tokens == 0) return invalid_argument("max_tokens must be at least 1", "max_tokens");
  ASSIGN_OR_RETURN(out.prompt, read_chat_prompt(fields));
  RETURN_IF_ERROR(read_chat_logprobs(fields, out));
  return out;
}

Result<CompletionRequest> parse_completion_request(std::string_view body) {
  JsonBody json;
  RETURN_IF_ERROR(json.parse(body));
  CompletionRequest out;
  RETURN_IF_ERROR(read_completion_fields(JsonFields(json.object()), out));
  return out;
}

Result<PredictRequest> parse_predict_request(std::string_view body) {
  JsonBody json;
  RETURN_IF_ERROR(json.parse(body));
  const JsonFields fields(json.object());
  PredictRequest out;
  if (const auto element = fields.find("parameters")) {
    dom::object parameters;
    if (element->get(parameters)) return fields.wrong_type("parameters", "an object", *element);
    RETURN_IF_ERROR(read_generation_params(JsonFields(parameters, "parameters."), out.params));
    if (out.params.n != 1) return invalid_argument("parameters.n must be 1", "parameters.n");
  }
  out.params.stream = false;
  RETURN_IF_ERROR(fields.read_bool("stream", out.params.stream));
  if (!fields.find("input")) return invalid_argument("input is missing", "input");
  RETURN_IF_ERROR(fields.read_string("input", out.input));
  if (out.input.empty()) return invalid_argument("input is empty", "input");
  return out;
}

Result<TokenizeRequest> parse_tokenize_request(std::string_view body) {
  JsonBody json;
  RETURN_IF_ERROR(json.parse(body));
  const JsonFields fields(json.object());
  TokenizeRequest out;
  RETURN_IF_ERROR(fields.read_string("model", out.model));
  RETURN_IF_ERROR(fields.read_bool("add_special_tokens", out.add_special_tokens));
  RETURN_IF_ERROR(fields.read_string("prompt", out.prompt));
  if (fields.find("prompt")) return out;
  if (!fields.find("messages")) return invalid_argument("prompt (or messages) is missing", "prompt");
  ASSIGN_OR_RETURN(out.chat, read_chat_prompt(fields));
  return out;
}

Result<DetokenizeRequest> parse_detokenize_request(std::string_view body) {
  JsonBody json;
  RETURN_IF_ERROR(json.parse(body));
  const JsonFields fields(json.object());
  DetokenizeRequest out;
  RETURN_IF_ERROR(fields.read_string("model", out.model));
  const auto element = fields.find("tokens");
  if (!element) return invalid_argument("tokens is missing", "tokens");
  ASSIGN_OR_RETURN(out.tokens, read_token_ids(*element, "tokens"));
  return out;
}

Result<LoadAdapterRequest> parse_load_adapter_request(std::string_view body) {
  JsonBody json;
  RETURN_IF_ERROR(json.parse(body));
  const JsonFields fields(json.object());
  LoadAdapterRequest out;
  RETURN_IF_ERROR(fields.read_string("lora_name", out.name));
  RETURN_IF_ERROR(fields.read_string("lora_path", out.folder));
  RETURN_IF_ERROR(fields.read_string("base_model_name", out.base_model));
  RETURN_IF_ERROR(fields.read_bool("load_inplace", out.in_place));
  if (out.name.empty()) return invalid_argument("lora_name is missing", "lora_name");
  if (out.folder.empty()) return invalid_argument("lora_path is missing", "lora_path");
  return out;
}

Result<std::string> parse_unload_adapter_request(std::string_view body) {
  JsonBody json;
  RETURN_IF_ERROR(json.parse(body));
  std::string name;
  RETURN_IF_ERROR(JsonFields(json.object()).read_string("lora_name", name));
  if (name.empty()) return invalid_argument("lora_name is missing", "lora_name");
  return name;
}

}  // namespace strata::api
