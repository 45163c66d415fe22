// The names under which GGUF files (tokenizer.ggml.pre) know the ways byte-level models cut text into words.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace strata {

struct GgufWordPatterns {
  std::vector<std::string_view> expressions;  // applied one after the other, each to the words of the one before
  bool byte_level = true;                     // else symbols are characters and spaces are U+2581
  bool whole_words_first = false;
  bool add_bos = false;  // unless the file says otherwise
};

// nullptr when the name is not known.
const GgufWordPatterns* find_gguf_word_patterns(std::string_view name);
std::string known_gguf_word_patterns();  // for messages: all names, comma separated

}  // namespace strata
