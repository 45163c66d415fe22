// Characters as Python's str sees them: UTF-8 walking, classes, case mapping. Stateless, any thread. Bytes that are no
// valid UTF-8 count as one character each and are passed through unchanged.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace strata::jinja {

using CodePoint = uint32_t;

// Reads the character at `at` (at < text.size()) and moves `at` behind it. Invalid bytes give 0xDC80..0xDCFF, as
// Python's surrogateescape does, so that append_utf8 writes the same byte again.
CodePoint next_code_point(std::string_view text, size_t& at);
void append_utf8(std::string& out, CodePoint c);

size_t count_code_points(std::string_view text);
bool is_ascii(std::string_view text);
// The byte offset of character `index`; text.size() when there are fewer.
size_t byte_offset(std::string_view text, size_t index);

bool is_alpha(CodePoint c);
bool is_decimal(CodePoint c);
bool is_digit(CodePoint c);
bool is_numeric(CodePoint c);
bool is_space(CodePoint c);
bool is_upper(CodePoint c);
bool is_lower(CodePoint c);
bool is_title(CodePoint c);
bool is_cased(CodePoint c);
bool is_printable(CodePoint c);
inline bool is_alnum(CodePoint c) { return is_alpha(c) || is_numeric(c); }
// What str.splitlines and universal newlines take as the end of a line.
bool is_line_break(CodePoint c);

// Full mappings: one character may become three. to_lower knows the final sigma.
std::string to_upper(std::string_view text);
std::string to_lower(std::string_view text);
std::string to_title(std::string_view text);        // str.title
std::string to_capitalized(std::string_view text);  // str.capitalize
std::string to_swapped_case(std::string_view text);
std::string to_folded(std::string_view text);

// `chars` absent (nullptr): white space.
std::string_view strip(std::string_view text, const std::string_view* chars, bool left, bool right);

}  // namespace strata::jinja
