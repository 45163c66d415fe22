// Words that are tokens; every other word is the unknown token.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/text/token_map.h"
#include "model/text/tokenizer_spec.h"
#include "model/text/word_model.h"

namespace strata {

class WordLevelModel final : public WordModel {
 public:
  // `texts`: what each id stands for, by id; empty for tokens that no word may become. Borrowed.
  WordLevelModel(const WordLevelSpec& spec, const std::vector<std::string>& texts)
      : by_text_(texts.size()), unknown_(spec.unknown) {
    for (size_t id = 0; id < texts.size(); ++id) {
      if (!texts[id].empty()) by_text_.insert(texts[id], static_cast<TokenId>(id));
    }
  }

  void encode(std::string_view text, const std::vector<Span>& words, std::vector<TokenId>& out) const override {
    for (const Span& word : words) {
      const auto id = by_text_.find(text.substr(word.begin, word.size()));
      if (id || unknown_) out.push_back(id ? *id : *unknown_);
    }
  }

 private:
  TokenMap by_text_;
  std::optional<TokenId> unknown_;
};

}  // namespace strata
