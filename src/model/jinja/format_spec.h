// The mini language of format() and %: fill, alignment, sign, width, precision, type.
#pragma once

#include <string>
#include <string_view>

#include "model/jinja/render.h"

namespace strata::jinja {

struct FormatSpec {
  std::string fill = " ";
  char align = '\0';  // < > ^ = ; none: numbers to the right, text to the left
  char sign = '\0';   // + - or blank
  bool alternate = false;
  char group = '\0';  // , or _
  int64_t width = 0;  // in characters
  int64_t precision = -1;
  char type = '\0';
};

// False, with the rendering failed, when it is no specification.
bool parse_format_spec(Render& render, std::string_view text, FormatSpec& out);

void append_padded(Render& render, std::string& out, std::string_view text, const FormatSpec& spec, char default_align);
void append_formatted_integer(Render& render, std::string& out, Wide value, const FormatSpec& spec);
void append_formatted_float(Render& render, std::string& out, double value, const FormatSpec& spec);
// format(value, spec)
void append_formatted(Render& render, std::string& out, const Value& value, const FormatSpec& spec);

}  // namespace strata::jinja
