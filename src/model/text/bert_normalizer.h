// What BERT does to a text before it cuts it into words, in one pass over the characters. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

namespace strata {

struct BertNormalizerStep {
  bool clean = true;          // control characters, U+0000 and U+FFFD are dropped; white space becomes spaces
  bool isolate_han = true;    // spaces around each Chinese character
  bool strip_accents = true;  // letters are decomposed (NFD) and lose their marks
  bool lowercase = true;
  // As llama.cpp reads its vocabularies: all marks are stripped, not only those without width, and the control
  // characters that are white space cut words.
  bool as_llama_cpp = false;
};

// Ill-formed parts count as U+FFFD.
std::string bert_normalize(const BertNormalizerStep& step, std::string_view text);

}  // namespace strata
