// Finds added tokens ("<|im_start|>") in a text: leftmost, of those the longest, by a trie of their bytes.
// Immutable after it is made; any thread may search.
#pragma once

#include <bitset>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/text/tokenizer_spec.h"

namespace strata {

class AddedTokenFinder {
 public:
  AddedTokenFinder() : ends_(1, -1) {}
  explicit AddedTokenFinder(std::vector<AddedToken> tokens);

  bool empty() const { return tokens_.empty(); }

  struct Found {
    TokenId id;
    Span span;  // with the white space it takes along
  };
  // All tokens in `text`, in order, not overlapping; special ones only with `parse_special`.
  std::vector<Found> find_all(std::string_view text, bool parse_special) const;

 private:
  // Index of the longest token at text[at], or -1.
  int32_t match(std::string_view text, size_t at, bool parse_special) const;

  std::vector<AddedToken> tokens_;
  std::bitset<256> first_bytes_;
  std::unordered_map<uint64_t, uint32_t> children_;  // node << 8 | byte -> node
  std::vector<int32_t> ends_;                        // by node: the token that ends there, or -1
};

}  // namespace strata
