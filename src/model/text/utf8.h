// UTF-8, read one code point at a time, tolerant of any bytes (https://www.rfc-editor.org/rfc/rfc3629). Pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace strata {

struct CodePoint {
  char32_t value = 0;  // U+FFFD when not valid
  uint8_t length = 0;  // bytes; of something invalid: its longest part that could begin a sequence, at least 1
  bool valid = false;
};

// The code point that begins at text[at]; at < text.size().
CodePoint code_point_at(std::string_view text, size_t at);

// Start of the code point that ends before text[end], 0 < end <= text.size(). A byte that ends no valid sequence stands
// for itself.
size_t previous_code_point(std::string_view text, size_t end);

void append_utf8(std::string& out, char32_t code_point);

// How many bytes at the end of `text` begin a sequence that later bytes may complete: 0 to 3.
size_t unfinished_suffix(std::string_view text);

// Appends `text` with every ill-formed part replaced: one U+FFFD for each maximal subpart, as browsers do
// (https://encoding.spec.whatwg.org/#utf-8-decoder).
void append_well_formed(std::string& out, std::string_view text);

}  // namespace strata
