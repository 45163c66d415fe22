// Read-only view of a JSON object, for configurations. Cheap to copy; shares ownership of the document.
//
// null counts as absent. A field of the wrong type is never taken for an absent one: get_* then gives nullopt AND keeps
// the failure, which names the field ("config.json: rope_scaling.factor: expected a number, got a string"), until the
// reader asks status() once after reading, as a stream does. require_* give it at once.
// Integers are accepted where a number is wanted, and 4096.0 where an integer is.
//
// Thread rule: any thread may read; status() is shared by all views of one document.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace strata {

class ConfigView {
 public:
  ConfigView();                                           // an empty object
  ConfigView(nlohmann::json object, std::string source);  // `source` names it in errors: "config.json"
  static Result<ConfigView> parse(std::string_view text, std::string source);
  static Result<ConfigView> read_file(const std::filesystem::path& path);

  bool has(std::string_view key) const;  // present and not null
  std::optional<int64_t> get_int(std::string_view key) const;
  std::optional<double> get_double(std::string_view key) const;
  std::optional<bool> get_bool(std::string_view key) const;
  std::optional<std::string> get_string(std::string_view key) const;
  std::optional<ConfigView> get_object(std::string_view key) const;
  std::optional<std::vector<int64_t>> get_ints(std::string_view key) const;
  std::optional<std::vector<double>> get_doubles(std::string_view key) const;
  std::optional<std::vector<std::string>> get_strings(std::string_view key) const;
  std::optional<std::vector<ConfigView>> get_objects(std::string_view key) const;

  // kInvalidArgument with param = the field's path when it is absent or of another type.
  Result<int64_t> require_int(std::string_view key) const;
  Result<double> require_double(std::string_view key) const;
  Result<std::string> require_string(std::string_view key) const;
  Result<ConfigView> require_object(std::string_view key) const;

  // For fields that come in several types (eos_token_id: 2 or [2, 3]): no failure is kept.
  bool is_int(std::string_view key) const;
  bool is_string(std::string_view key) const;
  bool is_array(std::string_view key) const;
  bool is_object(std::string_view key) const;

  Status status() const;  // the first field that had a wrong type
  std::vector<std::string> keys() const;
  // Keys of the whole document's object that somebody has asked for so far, present or not: a writer of the document
  // may be told of the others.
  std::vector<std::string> asked() const;
  const nlohmann::json& json() const;  // the object itself

 private:
  struct Document;
  ConfigView(std::shared_ptr<Document> document, const nlohmann::json* node, std::string path);
  const nlohmann::json* field(std::string_view key) const;  // nullptr when absent or null
  std::string field_path(std::string_view key) const;
  Status wrong_type(std::string_view key, std::string_view expected) const;
  void keep(Status failure) const;

  std::shared_ptr<Document> document_;
  const nlohmann::json* node_;
  std::string path_;
};

// A JSON document read with simdjson: strict, depth at most 1024; errors name `source`.
Result<nlohmann::json> parse_json(std::string_view text, std::string_view source);
Result<nlohmann::json> read_json_file(const std::filesystem::path& path);

}  // namespace strata
