// Dimensions of graph values: a constant, or a multiple of a symbol that is bound anew for every step.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "compute/tensor/dtype.h"

namespace strata {

enum class Symbol : uint8_t {
  kNone,       // constants
  kTokens,     // T: tokens of the step
  kOutputs,    // O: rows that give logits
  kSequences,  // S: sequences of the step
};
inline constexpr int kSymbolCount = 4;

// The values of the symbols in one step, or their maxima.
struct SymbolValues {
  std::array<int64_t, kSymbolCount> value{1, 0, 0, 0};
  int64_t operator[](Symbol symbol) const { return value[static_cast<size_t>(symbol)]; }
  int64_t& operator[](Symbol symbol) { return value[static_cast<size_t>(symbol)]; }

  // As many sequences and output rows as tokens.
  static SymbolValues all(int64_t n) { return {{1, n, n, n}}; }
};

// factor * symbol. P, the token-expert pairs of a step, is n_used * T.
struct Dim {
  int64_t factor = 1;
  Symbol symbol = Symbol::kNone;

  Dim() = default;
  Dim(int64_t constant) : factor(constant) {}  // NOLINT: implicit by design
  Dim(int64_t f, Symbol s) : factor(f), symbol(s) {}
  static Dim tokens() { return {1, Symbol::kTokens}; }
  static Dim outputs() { return {1, Symbol::kOutputs}; }
  static Dim sequences() { return {1, Symbol::kSequences}; }

  bool is_constant() const { return symbol == Symbol::kNone; }
  int64_t at(const SymbolValues& values) const { return factor * values[symbol]; }
  bool operator==(const Dim&) const = default;
};

// Outermost dimension first; row-major; at most four dimensions; only the first may be symbolic.
using Shape = std::vector<Dim>;

struct TensorType {
  DType dtype = DType::kF32;
  Shape shape;
  bool operator==(const TensorType&) const = default;

  Dim last() const { return shape.back(); }
  // Product of all dimensions but the last: the rows of the value.
  Dim rows() const;
  // Bytes of a contiguous value.
  size_t bytes(const SymbolValues& values) const;
};

std::string to_string(const Dim& dim);      // "4T", "96"
std::string to_string(const Shape& shape);  // "T, 4, 16"
std::optional<Shape> parse_shape(std::string_view text);
std::optional<TensorType> parse_type(std::string_view text);
std::string to_string(const TensorType& type);  // "f32[T, 4, 16]"

}  // namespace strata
