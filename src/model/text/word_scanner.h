// The expressions by which byte-level models cut text into words, as hand-made scanners: they differ in a few choices
// only, and a scanner passes over the text once whatever it holds. for_expression() knows them by their text; the tests
// compare each with PCRE2 running that text. Values; any thread.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>
#include <vector>

#include "model/text/char_class.h"
#include "model/text/span.h"

namespace strata {

class WordScanner {
 public:
  static std::optional<WordScanner> for_expression(std::string_view expression);
  static std::vector<std::string_view> known_expressions();

  // As SplitPattern::find_all. The matches leave no gap.
  void find_all(std::string_view text, Span within, std::vector<Span>& matches) const;

  // How the expressions differ. Letters are p{L}, or p{L} and p{M}.
  enum class Apostrophe : char { kNone, kLowerBefore, kAnyCaseBefore, kAnyCaseAfter };  // 's 't 're 've 'm 'll 'd
  enum class Letters : char { kAfterSpace, kAfterAny, kByCase };  // " ?L+"; "[^\r\nLN]?L+"; lower after upper
  struct Shape {
    Apostrophe apostrophe;
    Letters letters;
    bool marks_are_letters;
    int max_digits;           // 0: any number, and a space may go before them
    std::string_view tail;    // what may follow symbols: "", "\r\n" or "\r\n/"
    bool newlines_end_space;  // \s*[\r\n]+
  };

 private:
  explicit WordScanner(const Shape& shape) : shape_(shape), classes_(&CharClassTable::instance()) {}

  // Ends of U*L+ and of U+L* from a place, or the place itself; uncased letters and marks are both U and L.
  struct CasedEnds {
    size_t with_lower;
    size_t with_upper;
  };

  size_t match_end(std::string_view text, size_t at) const;
  size_t letters_end(std::string_view text, size_t at) const;
  size_t cased_letters_end(std::string_view text, size_t at) const;
  CasedEnds cased_ends(std::string_view text, size_t at) const;
  size_t digits_end(std::string_view text, size_t at) const;
  size_t symbols_end(std::string_view text, size_t at) const;
  size_t space_end(std::string_view text, size_t at) const;
  size_t run_end(std::string_view text, size_t at, CharClass in) const;
  CharClass class_at(std::string_view text, size_t at, size_t& length) const;

  Shape shape_;
  const CharClassTable* classes_;
};

}  // namespace strata
