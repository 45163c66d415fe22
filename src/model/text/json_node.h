// A value inside a JSON document together with its path, so that whatever is wrong with it can be said by name:
// "model.merges[5]: expected a string". A thin reading layer over simdjson for large files such as tokenizer.json;
// includes simdjson, so only .cpp files include it. Borrows the document.
#pragma once

#include <simdjson.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "model/format/quoted_name.h"

namespace strata {

class JsonNode {
 public:
  JsonNode(simdjson::dom::element element, std::string path) : element_(element), path_(std::move(path)) {}

  const std::string& path() const { return path_; }
  simdjson::dom::element element() const { return element_; }

  Status wrong(std::string_view why) const {
    return invalid_argument((path_.empty() ? std::string("the document") : path_) + ": " + std::string(why), path_);
  }

  // A member of this object; absent when there is none or it is null, or this is no object.
  std::optional<JsonNode> find(std::string_view key) const {
    simdjson::dom::element member;
    if (element_[key].get(member) != simdjson::SUCCESS || member.is_null()) return std::nullopt;
    return JsonNode(member, path_.empty() ? std::string(key) : path_ + "." + std::string(key));
  }
  Result<JsonNode> require(std::string_view key) const {
    if (auto member = find(key)) return *std::move(member);
    return invalid_argument((path_.empty() ? "" : path_ + ".") + std::string(key) + ": missing",
                            (path_.empty() ? "" : path_ + ".") + std::string(key));
  }

  Result<std::string_view> string() const { return as<std::string_view>("a string"); }
  Result<bool> boolean() const { return as<bool>("true or false"); }
  Result<int64_t> integer() const { return as<int64_t>("an integer"); }
  Result<simdjson::dom::object> object() const { return as<simdjson::dom::object>("an object"); }
  Result<std::vector<JsonNode>> array() const {
    ASSIGN_OR_RETURN(const simdjson::dom::array elements, as<simdjson::dom::array>("a list"));
    std::vector<JsonNode> nodes;
    for (const simdjson::dom::element element : elements) {
      nodes.emplace_back(element, path_ + "[" + std::to_string(nodes.size()) + "]");
    }
    return nodes;
  }

  Result<std::string_view> require_string(std::string_view key) const {
    ASSIGN_OR_RETURN(const JsonNode member, require(key));
    return member.string();
  }
  Result<bool> get_bool(std::string_view key, bool otherwise) const {
    const auto member = find(key);
    return member ? member->boolean() : Result<bool>(otherwise);
  }
  Result<std::string_view> get_string(std::string_view key, std::string_view otherwise) const {
    const auto member = find(key);
    return member ? member->string() : Result<std::string_view>(otherwise);
  }

 private:
  template <class T>
  Result<T> as(std::string_view what) const {
    T value;
    if (element_.get(value) != simdjson::SUCCESS) return wrong("expected " + std::string(what));
    return value;
  }

  simdjson::dom::element element_;
  std::string path_;
};

}  // namespace strata
