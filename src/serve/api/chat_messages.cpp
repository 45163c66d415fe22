#include "serve/api/chat_messages.h"

#include <algorithm>

namespace strata::api {
namespace {

namespace dom = simdjson::dom;
using Json = nlohmann::ordered_json;

constexpr std::string_view kRoles[] = {"system", "developer", "user", "assistant", "tool", "function"};
constexpr size_t kMaxMessages = 10'000;

// One part of a content as a template reads it. Texts that were said, asked for or refused are all texts.
Result<Json> read_part(const JsonElement part, const std::string& name) {
  std::string_view text, type;
  if (part.at_key("type").get(type)) return invalid_argument(name + ".type is missing", name + ".type");
  std::string_view key = "text";
  if (type == "refusal") {
    key = type;
  } else if (type != "text" && type != "input_text" && type != "output_text") {
    return invalid_argument(
        name + ": parts of type '" + std::string(type.substr(0, 64)) + "' are not supported by this model (send text)",
        name + ".type");
  }
  if (part.at_key(key).get(text)) {
    return invalid_argument(name + "." + std::string(key) + " must be a string", name + "." + std::string(key));
  }
  return Json{{"type", "text"}, {"text", text}};
}

// A string, or a list of text parts.
Result<Json> read_content(const JsonElement element, const std::string& name) {
  std::string_view text;
  if (!element.get(text)) return Json(text);
  dom::array parts;
  if (element.get(parts)) {
    return invalid_argument(name + " must be a string or an array of text parts, not " + std::string(kind_of(element)),
                            name);
  }
  Json out = Json::array();
  for (const JsonElement part : parts) {
    ASSIGN_OR_RETURN(Json read, read_part(part, name + "[" + std::to_string(out.size()) + "]"));
    out.push_back(std::move(read));
  }
  return out;
}

// Whether an assistant's message says something without a content.
bool says_otherwise(const Json& message) {
  for (const char* name : {"tool_calls", "function_call", "reasoning_content", "reasoning", "thinking"}) {
    if (message.contains(name)) return true;
  }
  return false;
}

Status check_tool_calls(const JsonFields& fields) {
  const auto element = fields.find("tool_calls");
  if (!element) return ok_status();
  dom::array calls;
  if (element->get(calls)) return fields.wrong_type("tool_calls", "an array", *element);
  size_t index = 0;
  for (const JsonElement call : calls) {
    const std::string name = fields.full_name("tool_calls") + "[" + std::to_string(index++) + "]";
    if (!call.is_object()) return invalid_argument(name + " must be an object", name);
  }
  return ok_status();
}

// Clients send back what they got, with null for all that was not there: to a template that is absent.
Json members_that_say_something(const dom::object& object) {
  Json out = Json::object();
  for (const auto [key, value] : object) {
    dom::array calls;
    const bool no_calls = key == "tool_calls" && !value.get(calls) && calls.size() == 0;
    if (!value.is_null() && !no_calls) out[std::string(key)] = to_json(value);
  }
  return out;
}

Result<Json> read_message(const JsonElement element, const std::string& name) {
  dom::object object;
  if (element.get(object)) {
    return invalid_argument(name + " must be an object, not " + std::string(kind_of(element)), name);
  }
  const JsonFields fields(object, name + ".");
  std::string role;
  RETURN_IF_ERROR(fields.read_string("role", role));
  if (std::find(std::begin(kRoles), std::end(kRoles), role) == std::end(kRoles)) {
    return invalid_argument(name + ".role must be system, developer, user, assistant or tool", name + ".role");
  }
  RETURN_IF_ERROR(check_tool_calls(fields));
  Json message = members_that_say_something(object);
  if (role == "developer") message["role"] = "system";  // what templates know it as
  const auto content = fields.find("content");
  if (content) {
    ASSIGN_OR_RETURN(message["content"], read_content(*content, name + ".content"));
    return message;
  }
  if (role != "assistant" || !says_otherwise(message)) {
    return invalid_argument(name + ".content is missing", name + ".content");
  }
  message["content"] = nullptr;
  return message;
}

Result<Json> read_messages(const JsonFields& fields) {
  const std::string name = fields.full_name("messages");
  const auto element = fields.find("messages");
  if (!element) return invalid_argument(name + " is missing", name);
  dom::array array;
  if (element->get(array)) return fields.wrong_type("messages", "an array", *element);
  if (array.size() == 0) return invalid_argument(name + " is empty", name);
  if (array.size() > kMaxMessages) return invalid_argument(name + " has more than 10000 messages", name);
  Json messages = Json::array();
  for (const JsonElement item : array) {
    ASSIGN_OR_RETURN(Json message, read_message(item, name + "[" + std::to_string(messages.size()) + "]"));
    messages.push_back(std::move(message));
  }
  return messages;
}

// A list of objects that the template may show: tools, documents.
Status read_objects(const JsonFields& fields, std::string_view name, Json& variables) {
  const auto element = fields.find(name);
  if (!element) return ok_status();
  dom::array array;
  if (element->get(array)) return fields.wrong_type(name, "an array of objects", *element);
  if (array.size() == 0) return ok_status();
  for (const JsonElement item : array) {
    if (!item.is_object()) return fields.wrong_type(name, "an array of objects", item);
  }
  variables[std::string(name)] = to_json(*element);
  return ok_status();
}

}  // namespace

Json to_json(JsonElement element) {
  switch (element.type()) {
    case dom::element_type::ARRAY: {
      Json out = Json::array();
      for (const JsonElement item : dom::array(element)) out.push_back(to_json(item));
      return out;
    }
    case dom::element_type::OBJECT: {
      Json out = Json::object();
      for (const auto [key, value] : dom::object(element)) out[std::string(key)] = to_json(value);
      return out;
    }
    case dom::element_type::INT64:
      return int64_t(element);
    case dom::element_type::UINT64:
      return uint64_t(element);
    case dom::element_type::DOUBLE:
      return double(element);
    case dom::element_type::STRING:
      return std::string(std::string_view(element));
    case dom::element_type::BOOL:
      return bool(element);
    case dom::element_type::NULL_VALUE:
      return nullptr;
  }
  return nullptr;
}

Result<ChatPrompt> read_chat_prompt(const JsonFields& fields) {
  ChatPrompt out;
  ASSIGN_OR_RETURN(out.messages, read_messages(fields));
  bool add_generation_prompt = true;
  RETURN_IF_ERROR(fields.read_bool("add_generation_prompt", add_generation_prompt));
  RETURN_IF_ERROR(fields.read_bool("continue_final_message", out.continue_final));
  RETURN_IF_ERROR(fields.read_bool("add_special_tokens", out.add_special_tokens));
  if (out.continue_final && add_generation_prompt) {
    return invalid_argument(
        "continue_final_message cannot be true while add_generation_prompt is (send add_generation_prompt: false)",
        fields.full_name("continue_final_message"));
  }
  out.variables["add_generation_prompt"] = add_generation_prompt;
  RETURN_IF_ERROR(read_objects(fields, "tools", out.variables));
  RETURN_IF_ERROR(read_objects(fields, "documents", out.variables));
  if (const auto effort = fields.find("reasoning_effort")) {
    if (!effort->is_string()) return fields.wrong_type("reasoning_effort", "a string", *effort);
    out.variables["reasoning_effort"] = to_json(*effort);
  }
  if (const auto extra = fields.find("chat_template_kwargs")) {
    if (!extra->is_object()) return fields.wrong_type("chat_template_kwargs", "an object", *extra);
    out.variables.update(to_json(*extra));
  }
  return out;
}

}  // namespace strata::api
