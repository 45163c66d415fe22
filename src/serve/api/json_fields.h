// Reads the fields of a JSON object with simdjson and names the field in every error. Internal to serve/api: it
// includes the JSON library. A field that is absent or null leaves its target as it was; unknown fields are not looked
// at.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/text/tokenizer.h"

namespace strata::api {

using JsonElement = simdjson::dom::element;

// A parsed body. The elements live as long as it does.
class JsonBody {
 public:
  // kInvalidArgument: not JSON, not UTF-8, nested too deeply, a number out of range (with the field), not an object.
  Status parse(std::string_view text);
  simdjson::dom::object object() const { return object_; }

 private:
  simdjson::dom::parser parser_;
  simdjson::dom::object object_;
};

class JsonFields {
 public:
  // `path` is put before the names in errors, e.g. "stream_options.".
  explicit JsonFields(simdjson::dom::object object, std::string path = {}) : object_(object), path_(std::move(path)) {}

  std::optional<JsonElement> find(std::string_view name) const;  // nothing when absent or null
  std::string full_name(std::string_view name) const { return path_ + std::string(name); }

  Status read_bool(std::string_view name, bool& out) const;
  Status read_string(std::string_view name, std::string& out) const;
  Status read_integer(std::string_view name, int64_t low, int64_t high, std::optional<int64_t>& out) const;
  Status read_integer(std::string_view name, int low, int high, int& out) const;
  Status read_number(std::string_view name, double low, double high, std::optional<double>& out) const;

  // "NAME must be WHAT, not a KIND".
  Status wrong_type(std::string_view name, std::string_view wanted, JsonElement found) const;

 private:
  simdjson::dom::object object_;
  std::string path_;
};

// "a string", "an array" ...
std::string_view kind_of(JsonElement element);

// An array of token ids; `name` for errors.
Result<std::vector<TokenId>> read_token_ids(JsonElement element, const std::string& name);

}  // namespace strata::api
