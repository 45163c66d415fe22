#include "compute/graph/attributes.h"

#include <cstdio>
#include <cstdlib>

#include "base/check.h"

namespace strata {
namespace {

std::string number_text(double value) {
  char text[40];
  for (int digits = 6; digits <= 17; ++digits) {  // the shortest form that reads back as the same number
    std::snprintf(text, sizeof text, "%.*g", digits, value);
    if (std::strtod(text, nullptr) == value) break;
  }
  std::string out = text;
  if (out.find_first_of(".en") == std::string::npos) out += '.';
  return out;
}

std::string value_text(const AttributeValue& value) {
  if (const auto* i = std::get_if<int64_t>(&value)) return std::to_string(*i);
  if (const auto* d = std::get_if<double>(&value)) return number_text(*d);
  if (const auto* s = std::get_if<std::string>(&value)) return '"' + *s + '"';
  std::string out = "[";
  for (const double d : std::get<std::vector<double>>(value)) out += (out.size() > 1 ? ", " : "") + number_text(d);
  return out + "]";
}

}  // namespace

const AttributeValue* Attributes::find(std::string_view key) const {
  for (const auto& [k, v] : items_) {
    if (k == key) return &v;
  }
  return nullptr;
}

int64_t Attributes::integer(std::string_view key, int64_t fallback) const {
  const AttributeValue* value = find(key);
  if (value == nullptr) return fallback;
  CHECK(std::holds_alternative<int64_t>(*value));
  return std::get<int64_t>(*value);
}

double Attributes::number(std::string_view key, double fallback) const {
  const AttributeValue* value = find(key);
  if (value == nullptr) return fallback;
  if (const auto* i = std::get_if<int64_t>(value)) return static_cast<double>(*i);
  CHECK(std::holds_alternative<double>(*value));
  return std::get<double>(*value);
}

std::string Attributes::text(std::string_view key, std::string_view fallback) const {
  const AttributeValue* value = find(key);
  if (value == nullptr) return std::string(fallback);
  CHECK(std::holds_alternative<std::string>(*value));
  return std::get<std::string>(*value);
}

std::vector<double> Attributes::numbers(std::string_view key) const {
  const AttributeValue* value = find(key);
  if (value == nullptr) return {};
  CHECK(std::holds_alternative<std::vector<double>>(*value));
  return std::get<std::vector<double>>(*value);
}

void Attributes::set(std::string_view key, AttributeValue value) {
  for (auto& [k, v] : items_) {
    if (k == key) {
      v = std::move(value);
      return;
    }
  }
  items_.emplace_back(key, std::move(value));
}

std::string to_string(const Attributes& attributes) {
  std::string out;
  for (const auto& [key, value] : attributes.items()) out += (out.empty() ? "" : ", ") + key + "=" + value_text(value);
  return out;
}

}  // namespace strata
