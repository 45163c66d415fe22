#include "serve/api/chat_messages.h"

#include <algorithm>

namespace strata::api {
namespace {

namespace dom = simdjson::dom;
using Json = nlohmann::ordered_json;

constexpr std::string_view kRoles[] = {"system", "developer", "user", "assistant", "tool", "function"};
constexpr size_t kMaxMessages = 10'000;

// The text of a content: a string, or text parts joined by line breaks.
Result<std::string> read_content(const JsonElement element, const std::string& name) {
  std::string_view text;
  if (!element.get(text)) return std::string(text);
  dom::array parts;
  if (element.get(parts)) {
    return invalid_argument(name + " must be a string or an array of text parts, not " + std::string(kind_of(element)),
                            name);
  }
  std::string joined;
  size_t index = 0;
  for (const JsonElement part : parts) {
    const std::string part_name = name + "[" + std::to_string(index) + "]";
    std::string_view type;
    if (part.at_key("type").get(type)) return invalid_argument(part_name + ".type is missing", part_name + ".type");
    if (type != "text") {
      return invalid_argument(part_name + ": parts of type '" + std::string(type.substr(0, 64)) +
                                  "' are not supported by this model (send text)",
                              part_name + ".type");
    }
    if (part.at_key("text").get(text)) {
      return invalid_argument(part_name + ".text must be a string", part_name + ".text");
    }
    if (index++ > 0) joined += '\n';
    joined += text;
  }
  return joined;
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
  Json message = to_json(element);
  if (role == "developer") message["role"] = "system";  // what templates know it as
  const auto content = fields.find("content");
  if (content) {
    ASSIGN_OR_RETURN(message["content"], read_content(*content, name + ".content"));
    return message;
  }
  if (role != "assistant" || !fields.find("tool_calls")) {
    return invalid_argument(name + ".content is missing", name + ".content");
  }
  message["content"] = "";
  return message;
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

}  // namespace strata::api
