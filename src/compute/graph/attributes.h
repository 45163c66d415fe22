// Constants of an op: a short ordered list of named numbers, strings and number lists.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace strata {

using AttributeValue = std::variant<int64_t, double, std::string, std::vector<double>>;

class Attributes {
 public:
  Attributes() = default;
  Attributes(std::initializer_list<std::pair<std::string, AttributeValue>> list) : items_(list) {}

  bool has(std::string_view key) const { return find(key) != nullptr; }
  // The value of `key`, or the default; a CHECK fails on the wrong kind (an integer serves as a number).
  int64_t integer(std::string_view key, int64_t fallback = 0) const;
  double number(std::string_view key, double fallback = 0) const;
  std::string text(std::string_view key, std::string_view fallback = {}) const;
  std::vector<double> numbers(std::string_view key) const;

  void set(std::string_view key, AttributeValue value);
  const std::vector<std::pair<std::string, AttributeValue>>& items() const { return items_; }
  bool operator==(const Attributes&) const = default;

 private:
  const AttributeValue* find(std::string_view key) const;
  std::vector<std::pair<std::string, AttributeValue>> items_;
};

// "eps=1e-06, scale=0.25, inv_freq=[1., 0.5]": integers without, numbers with a point or exponent.
std::string to_string(const Attributes& attributes);

}  // namespace strata
