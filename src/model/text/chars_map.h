// The precompiled_charsmap of SentencePiece models: which strings become which others, as a double array of Darts
// (https://github.com/s-yata/darts-clone) and the texts it points to. Immutable; any thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace strata {

class CharsMap {
 public:
  // The bytes as stored. An empty map changes nothing.
  static Result<CharsMap> parse(std::string_view bytes);

  struct Match {
    size_t length = 0;  // 0: no string of the map
    std::string_view text;
  };
  // The longest, or the shortest, string of the map that text[at...] begins with.
  Match longest(std::string_view text, size_t at) const { return find(text, at, false); }
  Match shortest(std::string_view text, size_t at) const { return find(text, at, true); }

 private:
  Match find(std::string_view text, size_t at, bool shortest) const;
  std::vector<uint32_t> units_;
  std::string texts_;  // each ends with a zero byte
};

// As Hugging Face's tokenizers use the map: a grapheme cluster of less than 6 bytes becomes what its shortest known
// beginning stands for, or else each of its characters does.
std::string map_graphemes(const CharsMap& map, std::string_view text);

std::optional<std::string> decode_base64(std::string_view text);

}  // namespace strata
