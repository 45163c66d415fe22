#include "serve/api/generation_params.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <random>

#include "serve/api/json_fields.h"

namespace strata::api {
namespace {

namespace dom = simdjson::dom;

constexpr int kMaxChoices = 128;
constexpr size_t kMaxStops = 16;
constexpr size_t kMaxStopBytes = 1024;
constexpr int64_t kMaxTokens = std::numeric_limits<int32_t>::max();
constexpr double kMaxTimeout = 86400;
constexpr double kSmallest = 1e-6;  // where 0 itself makes no sense

// Fields that ask for another kind of answer. Ignoring them would answer something else than was asked.
constexpr std::string_view kNotBuilt[] = {
    "functions",      "audio",           "web_search_options", "guided_json", "guided_regex", "guided_choice",
    "guided_grammar", "guided_decoding", "structured_outputs", "grammar",     "json_schema",  "use_beam_search"};

bool is_empty(JsonElement element) {
  dom::array array;
  dom::object object;
  bool flag = true;
  std::string_view text;
  if (!element.get(array)) return array.size() == 0;
  if (!element.get(object)) return object.size() == 0;
  if (!element.get(flag)) return !flag;
  if (!element.get(text)) return text.empty();
  return false;
}

Status refuse(const std::string& field) {
  return invalid_argument(field + " is not supported by this server (leave it out; answers are plain text)", field);
}

// Tools may be shown to the model where the answer is to be plain text all the same.
Status refuse_tools(const JsonFields& fields) {
  const auto tools = fields.find("tools");
  if (!tools || is_empty(*tools)) return ok_status();
  std::string_view choice;
  const auto tool_choice = fields.find("tool_choice");
  if (tool_choice && !tool_choice->get(choice) && choice == "none") return ok_status();
  const std::string name = fields.full_name("tools");
  return invalid_argument(name + " is not supported by this server: answers are plain text (leave it out, or send " +
                              "tool_choice: \"none\" to show the tools to the model)",
                          name);
}

Status refuse_what_is_not_built(const JsonFields& fields) {
  RETURN_IF_ERROR(refuse_tools(fields));
  for (const std::string_view name : kNotBuilt) {
    const auto element = fields.find(name);
    if (element && !is_empty(*element)) return refuse(fields.full_name(name));
  }
  for (const std::string_view name : {"tool_choice", "function_call"}) {
    const auto element = fields.find(name);
    std::string_view choice;
    if (element && (element->get(choice) || (choice != "none" && choice != "auto")))
      return refuse(fields.full_name(name));
  }
  if (const auto format = fields.find("response_format")) {
    dom::object object;
    std::string_view type;
    if (format->get(object)) return fields.wrong_type("response_format", "an object", *format);
    if (object.at_key("type").get(type) || type != "text") return refuse(fields.full_name("response_format"));
  }
  if (const auto modalities = fields.find("modalities")) {
    dom::array array;
    if (modalities->get(array)) return fields.wrong_type("modalities", "an array", *modalities);
    for (const JsonElement item : array) {
      std::string_view name;
      if (item.get(name) || name != "text") return refuse(fields.full_name("modalities"));
    }
  }
  return ok_status();
}

Status read_stop(const JsonFields& fields, std::vector<std::string>& out) {
  const auto element = fields.find("stop");
  if (!element) return ok_status();
  const std::string name = fields.full_name("stop");
  std::string_view text;
  dom::array array;
  if (!element->get(text)) {
    out.emplace_back(text);
  } else if (!element->get(array)) {
    for (const JsonElement item : array) {
      if (item.get(text)) return invalid_argument(name + " must be a string or an array of strings", name);
      out.emplace_back(text);
    }
  } else {
    return fields.wrong_type("stop", "a string or an array of strings", *element);
  }
  if (out.size() > kMaxStops) {
    return invalid_argument(name + " has more than " + std::to_string(kMaxStops) + " strings", name);
  }
  for (const std::string& stop : out) {
    if (stop.empty()) return invalid_argument(name + " contains an empty string", name);
    if (stop.size() > kMaxStopBytes) {
      return invalid_argument(name + " contains a string over " + std::to_string(kMaxStopBytes) + " bytes", name);
    }
  }
  return ok_status();
}

Status read_logit_bias(const JsonFields& fields, std::map<TokenId, float>& out) {
  const auto element = fields.find("logit_bias");
  if (!element) return ok_status();
  const std::string name = fields.full_name("logit_bias");
  dom::object object;
  if (element->get(object)) return fields.wrong_type("logit_bias", "an object", *element);
  for (const auto [key, value] : object) {
    TokenId id = 0;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    double bias = 0;
    if (error != std::errc() || end != key.data() + key.size() || id < 0) {
      return invalid_argument(name + " must map token ids to numbers", name);
    }
    if (value.get(bias) || !(bias >= -100 && bias <= 100)) {
      return invalid_argument(name + "." + std::string(key) + " must be a number between -100 and 100", name);
    }
    out[id] = static_cast<float>(bias);
  }
  return ok_status();
}

Status read_stream_options(const JsonFields& fields, GenerationParams& out) {
  RETURN_IF_ERROR(fields.read_bool("stream", out.stream));
  const auto element = fields.find("stream_options");
  if (!element) return ok_status();
  dom::object object;
  if (element->get(object)) return fields.wrong_type("stream_options", "an object", *element);
  if (!out.stream) {
    const std::string name = fields.full_name("stream_options");
    return invalid_argument(name + " is only allowed with stream: true", name);
  }
  return JsonFields(object, fields.full_name("stream_options.")).read_bool("include_usage", out.include_usage);
}

Status read_limits(const JsonFields& fields, GenerationParams& out) {
  std::optional<int64_t> limit;
  RETURN_IF_ERROR(fields.read_integer("max_tokens", 0, kMaxTokens, out.max_tokens));
  RETURN_IF_ERROR(fields.read_integer("max_completion_tokens", 0, kMaxTokens, limit));
  if (limit) out.max_tokens = limit;
  RETURN_IF_ERROR(fields.read_integer("min_tokens", 0, static_cast<int>(kMaxTokens), out.min_tokens));
  if (out.max_tokens && out.min_tokens > *out.max_tokens) {
    const std::string name = fields.full_name("min_tokens");
    return invalid_argument(name + " is larger than max_tokens", name);
  }
  RETURN_IF_ERROR(fields.read_integer("n", 1, kMaxChoices, out.n));
  RETURN_IF_ERROR(
      fields.read_integer("priority", std::numeric_limits<int>::min(), std::numeric_limits<int>::max(), out.priority));
  RETURN_IF_ERROR(fields.read_number("timeout", kSmallest, kMaxTimeout, out.timeout));
  RETURN_IF_ERROR(fields.read_bool("ignore_eos", out.ignore_eos));
  if (const auto ids = fields.find("stop_token_ids")) {
    ASSIGN_OR_RETURN(out.stop_token_ids, read_token_ids(*ids, fields.full_name("stop_token_ids")));
  }
  return read_stop(fields, out.stop);
}

Status check_ids(const GenerationParams& params, const std::vector<TokenId>& prompt, int vocab,
                 const std::string& field) {
  const auto outside = [vocab](TokenId id, const std::string& name) {
    return invalid_argument(
        name + ": token id " + std::to_string(id) + " is outside the vocabulary of " + std::to_string(vocab), name);
  };
  for (const TokenId id : prompt) {
    if (id < 0 || id >= vocab) return outside(id, field);
  }
  for (const auto& [id, bias] : params.logit_bias) {
    if (id >= vocab) return outside(id, "logit_bias");
  }
  for (const TokenId id : params.stop_token_ids) {
    if (id >= vocab) return outside(id, "stop_token_ids");
  }
  return ok_status();
}

SamplingParams make_sampling(const GenerationParams& params, const GenerationDefaults& defaults) {
  const auto number = [](const std::optional<double>& given, float otherwise) {
    return given ? static_cast<float>(*given) : otherwise;
  };
  SamplingParams sampling;
  sampling.temperature = number(params.temperature, defaults.temperature);
  sampling.top_p = number(params.top_p, defaults.top_p);
  sampling.min_p = number(params.min_p, defaults.min_p);
  sampling.typical_p = number(params.typical_p, 1);
  sampling.repetition_penalty = number(params.repetition_penalty, defaults.repetition_penalty);
  sampling.presence_penalty = number(params.presence_penalty, 0);
  sampling.frequency_penalty = number(params.frequency_penalty, 0);
  sampling.top_k = params.top_k ? static_cast<int>(std::max<int64_t>(*params.top_k, 0)) : defaults.top_k;
  if (sampling.top_p <= 0) {  // OpenAI allows 0: only the most likely token is left
    sampling.top_p = 1;
    sampling.top_k = 1;
  }
  sampling.logit_bias = params.logit_bias;
  if (params.seed) {
    sampling.seed = static_cast<uint64_t>(*params.seed);
  } else {
    thread_local std::mt19937_64 seeds(std::random_device{}());
    sampling.seed = seeds();
  }
  return sampling;
}

}  // namespace

Status read_generation_params(const JsonFields& fields, GenerationParams& out) {
  RETURN_IF_ERROR(refuse_what_is_not_built(fields));
  RETURN_IF_ERROR(fields.read_number("temperature", 0, 2, out.temperature));
  RETURN_IF_ERROR(fields.read_number("top_p", 0, 1, out.top_p));
  RETURN_IF_ERROR(fields.read_number("min_p", 0, 1, out.min_p));
  RETURN_IF_ERROR(fields.read_number("typical_p", kSmallest, 1, out.typical_p));
  RETURN_IF_ERROR(fields.read_number("repetition_penalty", kSmallest, 100, out.repetition_penalty));
  RETURN_IF_ERROR(fields.read_number("presence_penalty", -2, 2, out.presence_penalty));
  RETURN_IF_ERROR(fields.read_number("frequency_penalty", -2, 2, out.frequency_penalty));
  RETURN_IF_ERROR(fields.read_integer("top_k", -1, kMaxTokens, out.top_k));
  RETURN_IF_ERROR(
      fields.read_integer("seed", std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max(), out.seed));
  RETURN_IF_ERROR(read_logit_bias(fields, out.logit_bias));
  RETURN_IF_ERROR(read_limits(fields, out));
  return read_stream_options(fields, out);
}

Result<Request> make_engine_request(const GenerationParams& params, const ModelHost& host, std::vector<TokenId> prompt,
                                    std::optional<int> default_max_tokens, const std::string& field) {
  if (prompt.empty()) return invalid_argument(field + " is empty", field);
  RETURN_IF_ERROR(check_ids(params, prompt, host.engine->limits().vocab, field));
  const int64_t context = host.engine->max_request_tokens();
  const auto length = static_cast<int64_t>(prompt.size());
  const std::string maximum = "the maximum context length is " + std::to_string(context) + " tokens, but " + field +
                              " has " + std::to_string(length);
  if (length + (params.max_tokens ? 0 : 1) > context) {
    return invalid_argument(maximum + " tokens (shorten it)", field);
  }
  const int64_t left = context - length;
  const int64_t otherwise = default_max_tokens ? std::min<int64_t>(*default_max_tokens, left) : left;
  const int64_t max_tokens = params.max_tokens.value_or(std::max<int64_t>(otherwise, params.min_tokens));
  if (length + max_tokens > context) {
    return invalid_argument(maximum + " and max_tokens is " + std::to_string(max_tokens) + " (reduce either)",
                            params.max_tokens ? "max_tokens" : "min_tokens");
  }
  Request request;
  request.prompt = std::move(prompt);
  request.sampling = make_sampling(params, host.defaults);
  request.n = params.n;
  request.max_tokens = static_cast<int>(max_tokens);
  request.min_tokens = params.min_tokens;
  request.stop = params.stop;
  request.stop_tokens = params.stop_token_ids;
  request.ignore_eos = params.ignore_eos;
  request.priority = params.priority;
  if (params.timeout)
    request.timeout = std::chrono::duration_cast<Duration>(std::chrono::duration<double>(*params.timeout));
  return request;
}

Status check_text_size(size_t bytes, size_t longest_token_bytes, int context, const std::string& field) {
  const size_t fewest = bytes / std::max<size_t>(longest_token_bytes, 1);
  if (fewest <= static_cast<size_t>(context)) return ok_status();
  return invalid_argument("the maximum context length is " + std::to_string(context) + " tokens, but " + field +
                              " has at least " + std::to_string(fewest) + " tokens (shorten it)",
                          field);
}

}  // namespace strata::api
