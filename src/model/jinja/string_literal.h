// Text in Python's spelling: string literals with their escapes, and the numbers that int() and float() read.
// Source: https://docs.python.org/3/reference/lexical_analysis.html#escape-sequences
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "model/jinja/value.h"

namespace strata::jinja {

// `body`: what stands between the quotes. kInvalidArgument for a broken \x, \u, \U or \N.
Result<std::string> decode_string_literal(std::string_view body);

// A plain number ("1.5", "-2e3", "inf", "nan"), no blanks or underscores.
std::optional<double> parse_double(std::string_view text);
// As Python's float(text) and int(text, base): blanks around and single underscores inside are allowed.
std::optional<double> parse_python_float(std::string_view text);
std::optional<Wide> parse_python_int(std::string_view text, int base);

}  // namespace strata::jinja
