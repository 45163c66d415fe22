// Finds added tokens ("<|im_start|>") in a text: leftmost, of those the longest, by a trie of their bytes.
// Immutable after it is made; any thread may search.
#pragma once

#include <bitset>
#include <cstdint>
#include <string_view>
#include <vector>

#include "model/text/byte_trie.h"
#include "model/text/tokenizer_spec.h"

namespace strata {

class AddedTokenFinder {
 public:
  AddedTokenFinder() = default;
  explicit AddedTokenFinder(std::vector<AddedToken> tokens);

  const std::vector<AddedToken>& tokens() const { return tokens_; }

  struct Found {
    TokenId id;
    Span span;  // with the white space it takes along; it may reach into the next one's
  };
  // All tokens in `text`, in order, themselves not overlapping; special ones only with `parse_special`.
  std::vector<Found> find_all(std::string_view text, bool parse_special) const;

 private:
  // Index of the longest token at text[at], or -1.
  int32_t match(std::string_view text, size_t at, bool parse_special) const;

  std::vector<AddedToken> tokens_;
  std::bitset<256> first_bytes_;
  ByteTrie trie_;  // to the index of a token
};

}  // namespace strata
