// The model step of a tokenizer: words become tokens. Immutable; any thread may encode.
#pragma once

#include <string_view>
#include <vector>

#include "model/text/span.h"
#include "model/text/tokenizer.h"

namespace strata {

class WordModel {
 public:
  virtual ~WordModel() = default;

  // Appends the tokens of each word. `words` lie in `text`, each shorter than 4 GiB.
  virtual void encode(std::string_view text, const std::vector<Span>& words, std::vector<TokenId>& out) const = 0;
};

}  // namespace strata
