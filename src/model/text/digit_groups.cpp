#include "model/text/digit_groups.h"

#include <algorithm>
#include <array>
#include <utility>

#include "model/text/char_class.h"
#include "model/text/utf8.h"

namespace strata {
namespace {

constexpr std::array<std::pair<std::string_view, DigitGroups>, 5> kKnown = {{
    {R"(\p{Nd}{1,3}(?=(?:\p{Nd}{3})*(?!\p{Nd})))", DigitGroups::kGroups},
    {R"(\d{1,3}(?=(?:\d{3})*(?!\d)))", DigitGroups::kGroups},
    {R"(\d{1,3}(?=(?:\d{3})*\b))", DigitGroups::kGroupsOfWholeWords},
    {R"(\d{1,3}(?=(\d{3})*\b))", DigitGroups::kGroupsOfWholeWords},
    {R"((?=(\d{3})+(?!\d)))", DigitGroups::kBetween},
}};

CharClass class_at(std::string_view text, size_t at, size_t& length) {
  const CodePoint point = code_point_at(text, at);
  length = point.length;
  return point.valid ? CharClassTable::instance().of(point.value) : CharClass{0};
}

// As \w is meant where the expressions come from: it knows the fractions and superscripts of Latin-1, and no joiners.
bool is_word_at(std::string_view text, size_t at) {
  const CodePoint point = code_point_at(text, at);
  if (!point.valid || point.value == 0x200C || point.value == 0x200D) return false;
  constexpr std::u32string_view kMore = U"\u00B2\u00B3\u00B9\u00BC\u00BD\u00BE";
  return is_word_character(point.value) || kMore.find(point.value) != std::u32string_view::npos;
}

void append_groups(DigitGroups kind, const std::vector<size_t>& digits, size_t end, std::vector<Span>& matches) {
  const size_t n = digits.size();
  const auto begin_of = [&](size_t i) { return i < n ? digits[i] : end; };
  for (size_t i = 0; i < n;) {
    const size_t first = (n - i) % 3;
    const size_t next = i + (first > 0 ? first : 3);
    if (kind != DigitGroups::kBetween) {
      matches.push_back({digits[i], begin_of(next)});
    } else if (first == 0) {
      matches.push_back({digits[i], digits[i]});
    }
    i = next;
  }
}

}  // namespace

std::optional<DigitGroups> digit_groups_of(std::string_view expression) {
  for (const auto& [text, kind] : kKnown) {
    if (text == expression) return kind;
  }
  return std::nullopt;
}

void find_digit_groups(DigitGroups kind, std::string_view text, Span within, std::vector<Span>& matches) {
  const std::string_view part = text.substr(0, within.end);
  std::vector<size_t> digits;  // where each digit of a number begins
  size_t length = 0;
  for (size_t at = within.begin; at < part.size();) {
    digits.clear();
    while (at < part.size() && (class_at(part, at, length) & kClassDecimal)) {
      digits.push_back(at);
      at += length;
    }
    if (digits.empty()) {
      at += length;
      continue;
    }
    const bool goes_on = kind == DigitGroups::kGroupsOfWholeWords && at < part.size() && is_word_at(part, at);
    if (!goes_on) append_groups(kind, digits, at, matches);
  }
}

}  // namespace strata
