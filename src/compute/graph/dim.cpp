#include "compute/graph/dim.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#include "base/check.h"

namespace strata {

Dim TensorType::rows() const {
  Dim product = 1;
  for (size_t i = 0; i + 1 < shape.size(); ++i) {
    if (!shape[i].is_constant()) {
      CHECK(product.is_constant());
      product.symbol = shape[i].symbol;
    }
    product.factor *= shape[i].factor;
  }
  return product;
}

size_t TensorType::bytes(const SymbolValues& values) const {
  if (shape.empty()) return row_bytes(dtype, 1);
  return static_cast<size_t>(rows().at(values)) * row_bytes(dtype, last().at(values));
}

std::string to_string(const Dim& dim) {
  static constexpr const char* kNames[kSymbolCount] = {"", "T", "O", "S"};
  const char* symbol = kNames[static_cast<size_t>(dim.symbol)];
  if (!dim.is_constant() && dim.factor == 1) return symbol;
  return std::to_string(dim.factor) + symbol;
}

std::string to_string(const Shape& shape) {
  std::string text;
  for (const Dim& dim : shape) text += (text.empty() ? "" : ", ") + to_string(dim);
  return text;
}

std::string to_string(const TensorType& type) {
  std::string text;
  for (const char c : name(type.dtype)) text += static_cast<char>(std::tolower(c));
  return text + '[' + to_string(type.shape) + ']';
}

std::optional<Shape> parse_shape(std::string_view text) {
  Shape shape;
  while (!text.empty()) {
    const size_t comma = std::min(text.find(','), text.size());
    std::string_view item = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    while (!item.empty() && item.front() == ' ') item.remove_prefix(1);
    Dim dim = 1;
    const auto [end, error] = std::from_chars(item.data(), item.data() + item.size(), dim.factor);
    if (error == std::errc()) item.remove_prefix(static_cast<size_t>(end - item.data()));
    if (item == "T") {
      dim.symbol = Symbol::kTokens;
    } else if (item == "O") {
      dim.symbol = Symbol::kOutputs;
    } else if (item == "S") {
      dim.symbol = Symbol::kSequences;
    } else if (!item.empty() || error != std::errc()) {
      return std::nullopt;
    }
    shape.push_back(dim);
  }
  return shape;
}

std::optional<TensorType> parse_type(std::string_view text) {
  const size_t open = text.find('[');
  if (open == std::string_view::npos || text.back() != ']') return std::nullopt;
  TensorType type;
  const std::string dtype = [&] {
    for (int i = 0; i < kDTypeCount; ++i) {
      const std::string_view candidate = name(static_cast<DType>(i));
      if (std::equal(candidate.begin(), candidate.end(), text.begin(), text.begin() + static_cast<std::ptrdiff_t>(open),
                     [](char a, char b) { return std::tolower(a) == b; })) {
        type.dtype = static_cast<DType>(i);
        return std::string(candidate);
      }
    }
    return std::string();
  }();
  const std::optional<Shape> shape = parse_shape(text.substr(open + 1, text.size() - open - 2));
  if (dtype.empty() || !shape) return std::nullopt;
  type.shape = *shape;
  return type;
}

}  // namespace strata
