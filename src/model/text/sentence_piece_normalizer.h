// What SentencePiece does to a text before it is cut (https://github.com/google/sentencepiece, normalizer.cc): known
// strings become others, runs of spaces one, spaces U+2581, and one is put at an end. Immutable; any thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "model/text/byte_trie.h"
#include "model/text/chars_map.h"

namespace strata {

struct SentencePieceStep {
  std::shared_ptr<const CharsMap> map;      // shared by copies of the step, never changed; may be null
  std::shared_ptr<const ByteTrie> symbols;  // strings that stay as they are; may be null
  bool add_space = true;                    // before the text, or after it
  bool space_after = false;
  bool merge_spaces = true;  // runs become one, those at the ends none
  bool escape_spaces = true;
};

// Ill-formed bytes become U+FFFD each.
std::string sentence_piece_normalize(const SentencePieceStep& step, std::string_view text);

}  // namespace strata
