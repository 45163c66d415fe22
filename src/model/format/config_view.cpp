#include "model/format/config_view.h"

#include <simdjson.h>

#include <cmath>
#include <mutex>
#include <set>
#include <nlohmann/json.hpp>

#include "base/mapped_file.h"
#include "model/format/quoted_name.h"

namespace strata {
namespace {

using Json = nlohmann::json;

// simdjson has checked the depth (1024), so recursion is bounded.
Json convert(simdjson::dom::element element) {
  using simdjson::dom::element_type;
  switch (element.type()) {
    case element_type::OBJECT: {
      Json out = Json::object();
      for (const auto& [key, value] : simdjson::dom::object(element)) out[std::string(key)] = convert(value);
      return out;
    }
    case element_type::ARRAY: {
      Json out = Json::array();
      for (const auto value : simdjson::dom::array(element)) out.push_back(convert(value));
      return out;
    }
    case element_type::STRING:
      return std::string(std::string_view(element));
    case element_type::INT64:
      return int64_t(element);
    case element_type::UINT64:
      return uint64_t(element);
    case element_type::DOUBLE:
      return double(element);
    case element_type::BOOL:
      return bool(element);
    default:
      return nullptr;
  }
}

std::optional<int64_t> to_int(const Json& value) {
  if (const auto* number = value.get_ptr<const Json::number_unsigned_t*>()) {
    if (*number > static_cast<uint64_t>(INT64_MAX)) return std::nullopt;
    return static_cast<int64_t>(*number);
  }
  if (const auto* number = value.get_ptr<const Json::number_integer_t*>()) return *number;
  if (const auto* number = value.get_ptr<const Json::number_float_t*>()) {
    if (std::trunc(*number) == *number && std::abs(*number) < 9.0e15) return static_cast<int64_t>(*number);
  }
  return std::nullopt;
}

std::optional<double> to_double(const Json& value) {
  if (const auto* number = value.get_ptr<const Json::number_float_t*>()) return *number;
  if (const auto* number = value.get_ptr<const Json::number_unsigned_t*>()) return static_cast<double>(*number);
  if (const auto* number = value.get_ptr<const Json::number_integer_t*>()) return static_cast<double>(*number);
  return std::nullopt;
}

std::optional<bool> to_bool(const Json& value) {
  const auto* flag = value.get_ptr<const Json::boolean_t*>();
  return flag != nullptr ? std::optional<bool>(*flag) : std::nullopt;
}

std::optional<std::string> to_string(const Json& value) {
  const auto* text = value.get_ptr<const Json::string_t*>();
  return text != nullptr ? std::optional<std::string>(*text) : std::nullopt;
}

template <class T>
std::optional<std::vector<T>> to_vector(const Json& value, std::optional<T> (*convert_element)(const Json&)) {
  if (!value.is_array()) return std::nullopt;
  std::vector<T> out;
  for (const Json& element : value) {
    auto converted = convert_element(element);
    if (!converted) return std::nullopt;
    out.push_back(std::move(*converted));
  }
  return out;
}

}  // namespace

struct ConfigView::Document {
  Json root = Json::object();
  std::string source;
  std::mutex mutex;
  Status failure;               // guarded by mutex
  std::set<std::string> asked;  // the same: keys of root
};

ConfigView::ConfigView() : ConfigView(Json::object(), "configuration") {}

ConfigView::ConfigView(Json object, std::string source) : document_(std::make_shared<Document>()) {
  if (object.is_object()) document_->root = std::move(object);
  document_->source = std::move(source);
  node_ = &document_->root;
}

ConfigView::ConfigView(std::shared_ptr<Document> document, const Json* node, std::string path)
    : document_(std::move(document)), node_(node), path_(std::move(path)) {}

Result<ConfigView> ConfigView::parse(std::string_view text, std::string source) {
  ASSIGN_OR_RETURN(Json root, parse_json(text, source));
  if (!root.is_object()) return invalid_argument(source + ": expected a JSON object, got " + root.type_name());
  return ConfigView(std::move(root), std::move(source));
}

Result<ConfigView> ConfigView::read_file(const std::filesystem::path& path) {
  ASSIGN_OR_RETURN(Json root, read_json_file(path));
  if (!root.is_object()) return invalid_argument(path.string() + ": expected a JSON object, got " + root.type_name());
  return ConfigView(std::move(root), path.string());
}

const Json* ConfigView::field(std::string_view key) const {
  if (node_ == &document_->root) {
    const std::lock_guard lock(document_->mutex);
    document_->asked.emplace(key);
  }
  const auto found = node_->find(key);
  return found == node_->end() || found->is_null() ? nullptr : &*found;
}

std::string ConfigView::field_path(std::string_view key) const {
  return path_.empty() ? std::string(key) : path_ + "." + std::string(key);
}

Status ConfigView::wrong_type(std::string_view key, std::string_view expected) const {
  const Json* value = field(key);
  const std::string path = field_path(key);
  const std::string got = value == nullptr ? "it is missing" : std::string("got ") + value->type_name();
  return invalid_argument(document_->source + ": " + path + ": expected " + std::string(expected) + ", " + got, path);
}

void ConfigView::keep(Status failure) const {
  const std::lock_guard lock(document_->mutex);
  if (document_->failure.ok()) document_->failure = std::move(failure);
}

std::vector<std::string> ConfigView::asked() const {
  const std::lock_guard lock(document_->mutex);
  return {document_->asked.begin(), document_->asked.end()};
}

bool ConfigView::has(std::string_view key) const { return field(key) != nullptr; }

#define STRATA_CONFIG_GET(expression, expected)    \
  const Json* value = field(key);                  \
  if (value == nullptr) return std::nullopt;       \
  auto converted = (expression);                   \
  if (!converted) keep(wrong_type(key, expected)); \
  return converted

std::optional<int64_t> ConfigView::get_int(std::string_view key) const {
  STRATA_CONFIG_GET(to_int(*value), "an integer");
}
std::optional<double> ConfigView::get_double(std::string_view key) const {
  STRATA_CONFIG_GET(to_double(*value), "a number");
}
std::optional<bool> ConfigView::get_bool(std::string_view key) const {
  STRATA_CONFIG_GET(to_bool(*value), "true or false");
}
std::optional<std::string> ConfigView::get_string(std::string_view key) const {
  STRATA_CONFIG_GET(to_string(*value), "a string");
}
std::optional<std::vector<int64_t>> ConfigView::get_ints(std::string_view key) const {
  STRATA_CONFIG_GET(to_vector<int64_t>(*value, to_int), "an array of integers");
}
std::optional<std::vector<double>> ConfigView::get_doubles(std::string_view key) const {
  STRATA_CONFIG_GET(to_vector<double>(*value, to_double), "an array of numbers");
}
std::optional<std::vector<std::string>> ConfigView::get_strings(std::string_view key) const {
  STRATA_CONFIG_GET(to_vector<std::string>(*value, to_string), "an array of strings");
}
#undef STRATA_CONFIG_GET

std::optional<ConfigView> ConfigView::get_object(std::string_view key) const {
  const Json* value = field(key);
  if (value == nullptr) return std::nullopt;
  if (value->is_object()) return ConfigView(document_, value, field_path(key));
  keep(wrong_type(key, "an object"));
  return std::nullopt;
}

std::optional<std::vector<ConfigView>> ConfigView::get_objects(std::string_view key) const {
  const Json* value = field(key);
  if (value == nullptr) return std::nullopt;
  std::vector<ConfigView> out;
  bool all_objects = value->is_array();
  for (size_t i = 0; all_objects && i < value->size(); ++i) {
    all_objects = (*value)[i].is_object();
    if (all_objects) out.push_back({document_, &(*value)[i], field_path(key) + "[" + std::to_string(i) + "]"});
  }
  if (all_objects) return out;
  keep(wrong_type(key, "an array of objects"));
  return std::nullopt;
}

Result<int64_t> ConfigView::require_int(std::string_view key) const {
  const Json* value = field(key);
  if (const auto number = value != nullptr ? to_int(*value) : std::nullopt) return *number;
  return wrong_type(key, "an integer");
}
Result<double> ConfigView::require_double(std::string_view key) const {
  const Json* value = field(key);
  if (const auto number = value != nullptr ? to_double(*value) : std::nullopt) return *number;
  return wrong_type(key, "a number");
}
Result<std::string> ConfigView::require_string(std::string_view key) const {
  const Json* value = field(key);
  if (auto text = value != nullptr ? to_string(*value) : std::nullopt) return *std::move(text);
  return wrong_type(key, "a string");
}
Result<ConfigView> ConfigView::require_object(std::string_view key) const {
  const Json* value = field(key);
  if (value != nullptr && value->is_object()) return ConfigView(document_, value, field_path(key));
  return wrong_type(key, "an object");
}

bool ConfigView::is_int(std::string_view key) const {
  const Json* value = field(key);
  return value != nullptr && to_int(*value).has_value();
}
bool ConfigView::is_string(std::string_view key) const {
  const Json* value = field(key);
  return value != nullptr && value->is_string();
}
bool ConfigView::is_array(std::string_view key) const {
  const Json* value = field(key);
  return value != nullptr && value->is_array();
}
bool ConfigView::is_object(std::string_view key) const {
  const Json* value = field(key);
  return value != nullptr && value->is_object();
}

Status ConfigView::status() const {
  const std::lock_guard lock(document_->mutex);
  return document_->failure;
}

std::vector<std::string> ConfigView::keys() const {
  std::vector<std::string> out;
  for (const auto& item : node_->items()) out.push_back(item.key());
  return out;
}

const Json& ConfigView::json() const { return *node_; }

Result<Json> parse_json(std::string_view text, std::string_view source) {
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  if (const auto error = parser.parse(text.data(), text.size(), true).get(root)) {
    return invalid_argument(std::string(source) + ": not valid JSON: " + simdjson::error_message(error));
  }
  return convert(root);
}

Result<Json> read_json_file(const std::filesystem::path& path) {
  ASSIGN_OR_RETURN(const MappedFile file, MappedFile::open(path));
  const auto bytes = file.bytes();
  return parse_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path.string());
}

}  // namespace strata
