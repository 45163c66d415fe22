// What a text is cut by or searched for: a literal or a regular expression as tokenizer.json writes them (Oniguruma's
// syntax where PCRE2 shares it; letters, digits and \s by Unicode). The expressions of well-known models run as
// hand-made scanners (word_scanner.h), the others in PCRE2. Immutable; cheap to copy; any thread may search. Bytes that
// are not UTF-8 match nothing, or count as symbols.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/text/char_class.h"
#include "model/text/span.h"

namespace strata {

class SplitPattern {
 public:
  // kInvalidArgument with the reason when the expression cannot be compiled.
  static Result<SplitPattern> regex(std::string_view expression);
  static Result<SplitPattern> regex_without_scanner(std::string_view expression);  // always PCRE2, for comparison
  static SplitPattern literal(std::string text);
  // Characters of one of these classes (char_class.h), one by one or in runs.
  static SplitPattern characters(CharClass classes, bool runs = false);
  static SplitPattern words_and_symbols();  // \w+|[^\w\s]+

  // Appends all matches in text[within], left to right, not overlapping; one may be empty. What lies outside `within`
  // is as if it were not there. An expression that gives up (it would take unreasonably long) matches nothing further.
  void find_all(std::string_view text, Span within, std::vector<Span>& matches) const;

 private:
  struct Engine;
  explicit SplitPattern(std::shared_ptr<const Engine> engine) : engine_(std::move(engine)) {}
  std::shared_ptr<const Engine> engine_;  // shared by copies of a pipeline step, never changed
};

}  // namespace strata
