#include "serve/api/json_fields.h"

#include <cmath>
#include <limits>

namespace strata::api {
namespace {

namespace dom = simdjson::dom;

constexpr size_t kMaxDepth = 64;  // of arrays and objects within each other; chats need about five

// The first field of the top level whose value holds a number that is none.
std::string field_with_bad_number(std::string_view text) {
  simdjson::ondemand::parser parser;
  const simdjson::padded_string padded(text);
  simdjson::ondemand::document document;
  simdjson::ondemand::object object;
  if (parser.iterate(padded).get(document) || document.get_object().get(object)) return {};
  for (auto entry : object) {
    simdjson::ondemand::field field;
    std::string_view name;
    if (std::move(entry).get(field) || field.unescaped_key().get(name)) return {};
    simdjson::ondemand::json_type type;
    if (field.value().type().get(type)) return {};
    simdjson::ondemand::number number;
    if (type == simdjson::ondemand::json_type::number && field.value().get_number().get(number)) {
      return std::string(name);
    }
  }
  return {};
}

std::string range_text(double low, double high) {
  const auto text = [](double value) {
    std::string digits = std::to_string(value);
    digits.erase(digits.find_last_not_of('0') + 1);
    if (digits.ends_with('.')) digits.pop_back();
    return digits;
  };
  return "between " + text(low) + " and " + text(high);
}

}  // namespace

Status JsonBody::parse(std::string_view text) {
  if (text.empty()) return invalid_argument("the body is empty (send a JSON object)");
  if (parser_.allocate(text.size(), kMaxDepth)) return internal_error("no memory to parse the body");
  JsonElement root;
  const simdjson::error_code error = parser_.parse(text.data(), text.size()).get(root);
  if (error == simdjson::NUMBER_ERROR) {
    const std::string field = field_with_bad_number(text);
    if (!field.empty()) return invalid_argument(field + " is a number out of range", field);
  }
  if (error == simdjson::UTF8_ERROR) return invalid_argument("the body is not valid UTF-8");
  if (error == simdjson::DEPTH_ERROR) return invalid_argument("the body is nested too deeply");
  if (error) return invalid_argument(std::string("the body is not valid JSON: ") + simdjson::error_message(error));
  if (root.get(object_)) {
    return invalid_argument("the body must be a JSON object, not " + std::string(kind_of(root)));
  }
  return ok_status();
}

std::string_view kind_of(JsonElement element) {
  switch (element.type()) {
    case dom::element_type::ARRAY:
      return "an array";
    case dom::element_type::OBJECT:
      return "an object";
    case dom::element_type::INT64:
    case dom::element_type::UINT64:
    case dom::element_type::DOUBLE:
      return "a number";
    case dom::element_type::STRING:
      return "a string";
    case dom::element_type::BOOL:
      return "a boolean";
    case dom::element_type::NULL_VALUE:
      return "null";
  }
  return "something else";
}

std::optional<JsonElement> JsonFields::find(std::string_view name) const {
  JsonElement element;
  if (object_.at_key(name).get(element) || element.is_null()) return std::nullopt;
  return element;
}

Status JsonFields::wrong_type(std::string_view name, std::string_view wanted, JsonElement found) const {
  const std::string full = full_name(name);
  return invalid_argument(full + " must be " + std::string(wanted) + ", not " + std::string(kind_of(found)), full);
}

Status JsonFields::read_bool(std::string_view name, bool& out) const {
  const auto element = find(name);
  if (element && element->get(out)) return wrong_type(name, "a boolean", *element);
  return ok_status();
}

Status JsonFields::read_string(std::string_view name, std::string& out) const {
  const auto element = find(name);
  if (!element) return ok_status();
  std::string_view text;
  if (element->get(text)) return wrong_type(name, "a string", *element);
  out = text;
  return ok_status();
}

Status JsonFields::read_integer(std::string_view name, int64_t low, int64_t high, std::optional<int64_t>& out) const {
  const auto element = find(name);
  if (!element) return ok_status();
  int64_t value = 0;
  bool fits = true;
  if (element->get(value)) {  // larger than 64 bits, or written with a fraction or exponent
    double number = 0;
    if (element->get(number)) return wrong_type(name, "an integer", *element);
    if (number != std::floor(number)) return wrong_type(name, "an integer", *element);
    fits = std::abs(number) < 9.2e18;
    if (fits) value = static_cast<int64_t>(number);
  }
  if (!fits || value < low || value > high) {
    const std::string range = "between " + std::to_string(low) + " and " + std::to_string(high);
    return invalid_argument(full_name(name) + " must be " + range, full_name(name));
  }
  out = value;
  return ok_status();
}

Status JsonFields::read_integer(std::string_view name, int low, int high, int& out) const {
  std::optional<int64_t> value;
  RETURN_IF_ERROR(read_integer(name, int64_t{low}, int64_t{high}, value));
  if (value) out = static_cast<int>(*value);
  return ok_status();
}

Status JsonFields::read_number(std::string_view name, double low, double high, std::optional<double>& out) const {
  const auto element = find(name);
  if (!element) return ok_status();
  double value = 0;
  if (element->get(value)) return wrong_type(name, "a number", *element);
  if (!(value >= low && value <= high)) {
    return invalid_argument(full_name(name) + " must be " + range_text(low, high), full_name(name));
  }
  out = value;
  return ok_status();
}

Result<std::vector<TokenId>> read_token_ids(JsonElement element, const std::string& name) {
  dom::array array;
  if (element.get(array)) {
    return invalid_argument(name + " must be an array of token ids, not " + std::string(kind_of(element)), name);
  }
  std::vector<TokenId> ids;
  ids.reserve(array.size());
  for (const JsonElement item : array) {
    int64_t id = 0;
    if (item.get(id) || id < 0 || id > std::numeric_limits<TokenId>::max()) {
      return invalid_argument(name + "[" + std::to_string(ids.size()) + "] must be a token id", name);
    }
    ids.push_back(static_cast<TokenId>(id));
  }
  return ids;
}

}  // namespace strata::api
