#include "model/text/word_scanner.h"

#include "model/text/utf8.h"

namespace strata {
namespace {

using Apostrophe = WordScanner::Apostrophe;
using Letters = WordScanner::Letters;

struct Known {
  std::string_view expression;
  WordScanner::Shape shape;
};

constexpr Known kKnown[] = {
    // GPT-2, and the same without its last alternative, which only names what would be left over
    {R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)",
     {Apostrophe::kLowerBefore, Letters::kAfterSpace, false, 0, "", false}},
    {R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S))",
     {Apostrophe::kLowerBefore, Letters::kAfterSpace, false, 0, "", false}},
    // Llama 3
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     {Apostrophe::kAnyCaseBefore, Letters::kAfterAny, false, 3, "\r\n", true}},
    // GPT-4
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)",
     {Apostrophe::kAnyCaseBefore, Letters::kAfterAny, false, 3, "\r\n", true}},
    {R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)",
     {Apostrophe::kAnyCaseBefore, Letters::kAfterAny, false, 3, "\r\n", true}},
    // Qwen 2
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     {Apostrophe::kAnyCaseBefore, Letters::kAfterAny, false, 1, "\r\n", true}},
    // Bailing
    {R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)",
     {Apostrophe::kAnyCaseBefore, Letters::kAfterAny, false, 1, "\r\n", true}},
    // Seed-Coder
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+)",
     {Apostrophe::kAnyCaseBefore, Letters::kAfterAny, false, 1, "", true}},
    // Qwen 3.5
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     {Apostrophe::kAnyCaseBefore, Letters::kAfterAny, true, 1, "\r\n", true}},
    // GPT-4o
    {R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     {Apostrophe::kAnyCaseAfter, Letters::kByCase, false, 3, "\r\n/", true}},
    // Tekken (Mistral)
    {R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     {Apostrophe::kNone, Letters::kByCase, false, 1, "\r\n/", true}},
};

char folded(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// End of 's 't 're 've 'm 'll 'd at text[at], or `at`. In any case also means the long s U+017F, which folds to s.
size_t contraction_end(std::string_view text, size_t at, bool any_case) {
  if (at + 1 >= text.size() || text[at] != '\'') return at;
  const char first = any_case ? folded(text[at + 1]) : text[at + 1];
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return at + 2;
  if (any_case && text.substr(at + 1).starts_with("\xC5\xBF")) return at + 3;
  if (at + 2 >= text.size()) return at;
  const char second = any_case ? folded(text[at + 2]) : text[at + 2];
  const bool pair =
      (first == 'r' && second == 'e') || (first == 'v' && second == 'e') || (first == 'l' && second == 'l');
  return pair ? at + 3 : at;
}

}  // namespace

std::optional<WordScanner> WordScanner::for_expression(std::string_view expression) {
  for (const Known& known : kKnown) {
    if (known.expression == expression) return WordScanner(known.shape);
  }
  return std::nullopt;
}

std::vector<std::string_view> WordScanner::known_expressions() {
  std::vector<std::string_view> expressions;
  for (const Known& known : kKnown) expressions.push_back(known.expression);
  return expressions;
}

CharClass WordScanner::class_at(std::string_view text, size_t at, size_t& length) const {
  const CodePoint point = code_point_at(text, at);
  length = point.length;
  return point.valid ? classes_->of(point.value) : CharClass{0};
}

size_t WordScanner::run_end(std::string_view text, size_t at, CharClass in) const {
  size_t length = 0;
  while (at < text.size() && (class_at(text, at, length) & in)) at += length;
  return at;
}

void WordScanner::find_all(std::string_view text, Span within, std::vector<Span>& matches) const {
  const std::string_view part = text.substr(0, within.end);
  for (size_t at = within.begin; at < part.size();) {
    const size_t end = match_end(part, at);
    matches.push_back({at, end});
    at = end;
  }
}

// The alternatives of the expressions, in their order; each gives `at` when it does not match.
size_t WordScanner::match_end(std::string_view text, size_t at) const {
  if (shape_.apostrophe == Apostrophe::kLowerBefore || shape_.apostrophe == Apostrophe::kAnyCaseBefore) {
    const size_t end = contraction_end(text, at, shape_.apostrophe == Apostrophe::kAnyCaseBefore);
    if (end > at) return end;
  }
  size_t end = shape_.letters == Letters::kByCase ? cased_letters_end(text, at) : letters_end(text, at);
  if (end == at) end = digits_end(text, at);
  if (end == at) end = symbols_end(text, at);
  if (end == at) end = space_end(text, at);
  return end;
}

size_t WordScanner::letters_end(std::string_view text, size_t at) const {
  const CharClass letters = shape_.marks_are_letters ? kClassLetter | kClassMark : kClassLetter;
  size_t length = 0;
  const CharClass first = class_at(text, at, length);
  size_t begin = at;
  if (!(first & letters)) {
    const bool may_precede =
        shape_.letters == Letters::kAfterSpace ? text[at] == ' ' : !(first & (kClassNewline | kClassNumber));
    if (!may_precede) return at;
    begin = at + length;
  }
  const size_t end = run_end(text, begin, letters);
  return end > begin ? end : at;
}

WordScanner::CasedEnds WordScanner::cased_ends(std::string_view text, size_t at) const {
  constexpr CharClass kU = kClassUpper | kClassUncased | kClassMark;
  constexpr CharClass kL = kClassLower | kClassUncased | kClassMark;
  size_t length = 0;
  size_t both_end = at;  // where the last character of the U run that also is an L ends
  size_t upper_end = at;
  while (upper_end < text.size()) {
    const CharClass bits = class_at(text, upper_end, length);
    if (!(bits & kU)) break;
    upper_end += length;
    if (bits & kL) both_end = upper_end;
  }
  const size_t lower_end = run_end(text, upper_end, kL);
  return {lower_end > upper_end ? lower_end : both_end, upper_end > at ? lower_end : at};
}

size_t WordScanner::cased_letters_end(std::string_view text, size_t at) const {
  size_t length = 0;
  const CharClass first = class_at(text, at, length);
  size_t end = at;
  const CasedEnds here = cased_ends(text, at);
  if (!(first & (kClassNewline | kClassLetter | kClassNumber))) {
    const size_t begin = at + length;
    const CasedEnds next = cased_ends(text, begin);
    if (next.with_lower > begin) {
      end = next.with_lower;
    } else if (here.with_lower > at) {
      end = here.with_lower;
    } else if (next.with_upper > begin) {
      end = next.with_upper;
    }
  }
  if (end == at) end = here.with_lower;
  if (end == at) end = here.with_upper;
  if (end > at && shape_.apostrophe == Apostrophe::kAnyCaseAfter) end = contraction_end(text, end, true);
  return end;
}

size_t WordScanner::digits_end(std::string_view text, size_t at) const {
  size_t begin = at;
  if (shape_.max_digits == 0) {
    if (text[at] == ' ') ++begin;
    const size_t end = run_end(text, begin, kClassNumber);
    return end > begin ? end : at;
  }
  size_t length = 0;
  size_t end = at;
  for (int n = 0; n < shape_.max_digits && end < text.size(); ++n) {
    if (!(class_at(text, end, length) & kClassNumber)) break;
    end += length;
  }
  return end;
}

size_t WordScanner::symbols_end(std::string_view text, size_t at) const {
  const CharClass others =
      kClassSpace | kClassLetter | kClassNumber | (shape_.marks_are_letters ? kClassMark : CharClass{0});
  const size_t begin = text[at] == ' ' ? at + 1 : at;
  size_t end = begin;
  size_t length = 0;
  while (end < text.size() && !(class_at(text, end, length) & others)) end += length;
  if (end == begin) return at;
  while (end < text.size() && shape_.tail.find(text[end]) != std::string_view::npos) ++end;
  return end;
}

size_t WordScanner::space_end(std::string_view text, size_t at) const {
  size_t end = at;
  size_t last = at;  // where the last character of the run begins
  size_t after_newline = at;
  size_t length = 0;
  while (end < text.size()) {
    const CharClass bits = class_at(text, end, length);
    if (!(bits & kClassSpace)) break;
    last = end;
    end += length;
    if (bits & kClassNewline) after_newline = end;
  }
  if (shape_.newlines_end_space && after_newline > at) return after_newline;
  if (end == text.size() || last == at) return end;
  return last;  // the last space goes with the word that follows
}

}  // namespace strata
