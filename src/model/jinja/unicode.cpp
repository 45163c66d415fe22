#include "model/jinja/unicode.h"

#include <algorithm>
#include <cstring>
#include <iterator>

namespace strata::jinja {
namespace {

struct Range {
  CodePoint first, last;
};
struct CaseRun {
  CodePoint first, last;
  uint8_t step;
  int32_t delta;
};
struct CaseSpecial {
  CodePoint from;
  CodePoint to[3];
};

#include "model/jinja/unicode_tables.inc"

template <size_t N>
bool contains(const Range (&ranges)[N], CodePoint c) {
  const Range* it = std::upper_bound(std::begin(ranges), std::end(ranges), c,
                                     [](CodePoint value, const Range& range) { return value < range.first; });
  return it != std::begin(ranges) && c <= std::prev(it)->last;
}

template <size_t N, size_t M>
void append_mapped(std::string& out, CodePoint c, const CaseRun (&runs)[N], const CaseSpecial (&specials)[M]) {
  const CaseRun* run = std::upper_bound(std::begin(runs), std::end(runs), c,
                                        [](CodePoint value, const CaseRun& r) { return value < r.first; });
  if (run != std::begin(runs)) {
    --run;
    if (c <= run->last && (c - run->first) % run->step == 0) {
      append_utf8(out, static_cast<CodePoint>(static_cast<int64_t>(c) + run->delta));
      return;
    }
  }
  const CaseSpecial* special = std::lower_bound(std::begin(specials), std::end(specials), c,
                                                [](const CaseSpecial& s, CodePoint value) { return s.from < value; });
  if (special != std::end(specials) && special->from == c && c != 0) {
    for (const CodePoint to : special->to) {
      if (to != 0) append_utf8(out, to);
    }
    return;
  }
  append_utf8(out, c);
}

constexpr CodePoint kSigma = 0x3A3;

// A capital sigma that ends a word: a cased letter before it, none after it, case-ignorable characters skipped.
bool is_final_sigma(std::string_view text, size_t begin, size_t end) {
  bool cased_before = false;
  for (size_t at = 0; at < begin;) {
    const CodePoint c = next_code_point(text, at);
    if (!contains(kCaseIgnorable, c)) cased_before = contains(kCased, c);
  }
  if (!cased_before) return false;
  for (size_t at = end; at < text.size();) {
    const CodePoint c = next_code_point(text, at);
    if (!contains(kCaseIgnorable, c)) return !contains(kCased, c);
  }
  return true;
}

void append_lower(std::string& out, std::string_view text, size_t begin, size_t end, CodePoint c) {
  if (c < 0x80) {
    out += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
  } else if (c == kSigma) {
    append_utf8(out, is_final_sigma(text, begin, end) ? 0x3C2 : 0x3C3);
  } else {
    append_mapped(out, c, kToLower, kToLowerSpecial);
  }
}

void append_upper(std::string& out, CodePoint c) {
  if (c < 0x80) {
    out += static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
  } else {
    append_mapped(out, c, kToUpper, kToUpperSpecial);
  }
}

}  // namespace

CodePoint next_code_point(std::string_view text, size_t& at) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const auto continues = [&](size_t i) { return i < text.size() && (byte(i) & 0xC0) == 0x80; };
  const CodePoint lead = byte(at);
  if (lead < 0x80) {
    ++at;
    return lead;
  }
  if (lead >= 0xC2 && lead < 0xE0 && continues(at + 1)) {
    const CodePoint c = (lead & 0x1F) << 6 | (byte(at + 1) & 0x3F);
    at += 2;
    return c;
  }
  if (lead >= 0xE0 && lead < 0xF0 && continues(at + 1) && continues(at + 2)) {
    const CodePoint c = (lead & 0x0F) << 12 | static_cast<CodePoint>(byte(at + 1) & 0x3F) << 6 | (byte(at + 2) & 0x3F);
    if (c >= 0x800) {
      at += 3;
      return c;
    }
  }
  if (lead >= 0xF0 && lead < 0xF5 && continues(at + 1) && continues(at + 2) && continues(at + 3)) {
    const CodePoint c = (lead & 0x07) << 18 | static_cast<CodePoint>(byte(at + 1) & 0x3F) << 12 |
                        static_cast<CodePoint>(byte(at + 2) & 0x3F) << 6 | (byte(at + 3) & 0x3F);
    if (c >= 0x10000 && c < 0x110000) {
      at += 4;
      return c;
    }
  }
  ++at;
  return 0xDC00 + lead;
}

void append_utf8(std::string& out, CodePoint c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0 | c >> 6);
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else if (c >= 0xDC80 && c <= 0xDCFF) {
    out += static_cast<char>(c - 0xDC00);
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0 | c >> 12);
    out += static_cast<char>(0x80 | (c >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | c >> 18);
    out += static_cast<char>(0x80 | (c >> 12 & 0x3F));
    out += static_cast<char>(0x80 | (c >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  }
}

bool is_ascii(std::string_view text) {
  size_t i = 0;
  for (; i + 8 <= text.size(); i += 8) {
    uint64_t word;
    std::memcpy(&word, text.data() + i, 8);
    if (word & 0x8080808080808080ULL) return false;
  }
  for (; i < text.size(); ++i) {
    if (static_cast<unsigned char>(text[i]) >= 0x80) return false;
  }
  return true;
}

size_t count_code_points(std::string_view text) {
  if (is_ascii(text)) return text.size();
  size_t count = 0;
  for (size_t at = 0; at < text.size(); ++count) next_code_point(text, at);
  return count;
}

size_t byte_offset(std::string_view text, size_t index) {
  size_t at = 0;
  for (; index > 0 && at < text.size(); --index) next_code_point(text, at);
  return at;
}

bool is_alpha(CodePoint c) { return contains(kAlpha, c); }
bool is_decimal(CodePoint c) { return contains(kDecimal, c); }
bool is_digit(CodePoint c) { return contains(kDigit, c); }
bool is_numeric(CodePoint c) { return contains(kNumeric, c); }
bool is_space(CodePoint c) {
  return c < 0x80 ? c == ' ' || (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x1F) : contains(kSpace, c);
}
bool is_upper(CodePoint c) { return contains(kUpper, c); }
bool is_lower(CodePoint c) { return contains(kLower, c); }
bool is_title(CodePoint c) { return contains(kTitle, c); }
bool is_cased(CodePoint c) { return contains(kCased, c); }
bool is_printable(CodePoint c) {
  return c < 0x80 ? c >= 0x20 && c < 0x7F : !(c >= 0xD800 && c <= 0xDFFF) && !contains(kUnprintable, c);
}

bool is_line_break(CodePoint c) {
  return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

std::string to_upper(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) append_upper(out, next_code_point(text, at));
  return out;
}

std::string to_lower(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    const CodePoint c = next_code_point(text, at);
    append_lower(out, text, begin, at, c);
  }
  return out;
}

std::string to_title(std::string_view text) {
  std::string out;
  bool inside_word = false;
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    const CodePoint c = next_code_point(text, at);
    if (inside_word) {
      append_lower(out, text, begin, at, c);
    } else {
      append_mapped(out, c, kToTitle, kToTitleSpecial);
    }
    inside_word = is_cased(c);
  }
  return out;
}

std::string to_capitalized(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    const CodePoint c = next_code_point(text, at);
    if (begin == 0) {
      append_mapped(out, c, kToTitle, kToTitleSpecial);
    } else {
      append_lower(out, text, begin, at, c);
    }
  }
  return out;
}

std::string to_swapped_case(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t begin = at;
    const CodePoint c = next_code_point(text, at);
    if (is_upper(c)) {
      append_lower(out, text, begin, at, c);
    } else if (is_lower(c)) {
      append_upper(out, c);
    } else {
      append_utf8(out, c);
    }
  }
  return out;
}

std::string to_folded(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) append_mapped(out, next_code_point(text, at), kToFold, kToFoldSpecial);
  return out;
}

std::string_view strip(std::string_view text, const std::string_view* chars, bool left, bool right) {
  const auto strippable = [&](CodePoint c) {
    if (chars == nullptr) return is_space(c);
    for (size_t at = 0; at < chars->size();) {
      if (next_code_point(*chars, at) == c) return true;
    }
    return false;
  };
  size_t begin = 0;
  while (left && begin < text.size()) {
    size_t after = begin;
    if (!strippable(next_code_point(text, after))) break;
    begin = after;
  }
  size_t end = text.size();
  while (right && end > begin) {
    size_t start = end - 1;
    while (start > begin && end - start < 4 && (static_cast<unsigned char>(text[start]) & 0xC0) == 0x80) --start;
    size_t after = start;
    CodePoint c = next_code_point(text.substr(0, end), after);
    if (after != end) {  // stray continuation bytes: the last one stands alone
      start = end - 1;
      c = 0xDC00 + static_cast<unsigned char>(text[start]);
    }
    if (!strippable(c)) break;
    end = start;
  }
  return text.substr(begin, end - begin);
}

}  // namespace strata::jinja
