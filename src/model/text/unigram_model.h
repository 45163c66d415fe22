// Unigram language models (https://arxiv.org/abs/1804.10959): of all ways to cut a word into tokens the one whose
// scores sum highest. Where no token spans a place every way goes through it, so the best way up to there is settled
// and its memory used again: time and memory follow the longest token, not the text.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "model/text/byte_trie.h"
#include "model/text/tokenizer_spec.h"
#include "model/text/word_model.h"

namespace strata {

class UnigramModel final : public WordModel {
 public:
  // `texts`: what each id stands for inside words, by id; empty for tokens that no word may become. `byte_tokens`: for
  // characters the vocabulary does not know; -1 where there is none.
  UnigramModel(const UnigramSpec& spec, const std::vector<std::string>& texts,
               const std::array<TokenId, 256>& byte_tokens);

  void encode(std::string_view text, const std::vector<Span>& words, std::vector<TokenId>& out) const override;

 private:
  class Search;

  ByteTrie trie_;
  std::vector<double> scores_;
  double unknown_score_;
  bool single_precision_;
  std::optional<TokenId> unknown_;
  std::array<TokenId, 256> byte_tokens_;
};

}  // namespace strata
