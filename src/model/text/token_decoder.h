// How the spellings of tokens become text again. https://huggingface.co/docs/tokenizers/api/decoders lists the kinds;
// here they are steps, first on the spelling of each token, then on the text of all. Immutable; any thread.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "model/text/normalizer.h"
#include "model/text/tokenizer.h"

namespace strata {

struct ByteSpellingStep {};  // the GPT-2 byte alphabet (byte_alphabet.h); other spellings are bytes as they stand
struct ByteTokenStep {};     // <0x0A> is a byte
struct SpacesBetweenStep {};
struct WordPieceStep {  // a space before each token but the first and those that begin with `prefix`, which is dropped
  std::string prefix;
  bool cleanup = true;  // no space before punctuation marks and English contractions
};
struct MetaspaceDecodeStep {
  std::string replacement;
  bool drop_in_first = true;  // in the first token it stands for nothing, elsewhere for a space
};
struct WordEndStep {  // a suffix that marks the end of a word: a space, or nothing in the last token
  std::string suffix;
};
struct CtcStep {
  std::string pad;
  std::string word_delimiter;
  bool cleanup = true;
};
struct StripCharacterStep {  // up to so many of one character at each end
  std::string character;
  size_t start = 0;
  size_t stop = 0;
};

using DecodeStep = std::variant<ReplaceStep, ByteSpellingStep, ByteTokenStep, SpacesBetweenStep, WordPieceStep,
                                MetaspaceDecodeStep, WordEndStep, CtcStep, StripCharacterStep>;

struct DecoderSpec {
  std::vector<DecodeStep> token_steps;
  std::vector<DecodeStep> text_steps;  // on the whole text
  bool spell_added_tokens = false;     // added tokens are text as they stand, whatever the steps
};

std::string decode_steps(const std::vector<DecodeStep>& steps, std::string_view text, TokenPlace place);

DecodeRules rules_of(const DecoderSpec& decoder);

}  // namespace strata
