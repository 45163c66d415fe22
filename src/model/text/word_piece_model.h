// WordPiece (https://arxiv.org/abs/1609.08144, as BERT uses it): the longest token that begins a word, then the longest
// that goes on from there, until the word is used up; a word that cannot be used up is one unknown token.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/text/byte_trie.h"
#include "model/text/tokenizer_spec.h"
#include "model/text/word_model.h"

namespace strata {

class WordPieceModel final : public WordModel {
 public:
  // `texts`: what each id stands for inside words, by id; empty for tokens that no word may become.
  WordPieceModel(const WordPieceSpec& spec, const std::vector<std::string>& texts);

  void encode(std::string_view text, const std::vector<Span>& words, std::vector<TokenId>& out) const override;

 private:
  bool encode_word(std::string_view word, std::vector<TokenId>& out) const;

  ByteTrie first_;  // the tokens that begin words, without spec.first_prefix
  ByteTrie next_;   // the others, without spec.next_prefix
  size_t most_characters_;
  std::optional<TokenId> unknown_;
};

}  // namespace strata
