// Everything that defines a tokenizer, whatever file it came from (GGUF metadata, tokenizer.json): the pipeline
//   added tokens split off -> normalizer -> pre-tokenizer -> model -> begin and end tokens;   decoder back to text.
// A value; make_tokenizer() (pipeline_tokenizer.h) turns it into a Tokenizer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/text/normalizer.h"
#include "model/text/pre_tokenizer.h"
#include "model/text/tokenizer.h"

namespace strata {

enum class TokenKind : uint8_t { kNormal, kUnknown, kControl, kUserDefined, kUnused, kByte };

struct VocabularyToken {
  std::string text;  // spelling in the file
  TokenKind kind = TokenKind::kNormal;
};

// A token recognised as a whole in the text, before the model sees it.
struct AddedToken {
  TokenId id = 0;
  std::string content;
  bool special = false;     // recognised only with parse_special
  bool left_strip = false;  // white space before it belongs to it
  bool right_strip = false;
  bool single_word = false;  // only where no word character touches it
  bool normalized = false;   // looked for in the normalized text
};

struct MergeRule {
  TokenId left = 0;
  TokenId right = 0;
  TokenId result = 0;
};

// Byte pair encoding: symbols are characters or bytes; merges come as a list or follow from scores.
struct BpeSpec {
  bool byte_level = false;         // symbols are bytes, spelled in the GPT-2 byte alphabet
  bool byte_fallback = false;      // an unknown character becomes the tokens <0x00>...<0xFF> of its bytes
  bool fuse_unknown = false;       // neighbouring unknown characters become one unknown token
  bool whole_words_first = false;  // a word in the vocabulary is taken without regard to merges
  std::optional<TokenId> unknown;
  std::vector<MergeRule> merges;  // earliest first
  std::vector<float> scores;      // SentencePiece: any two symbols whose joined spelling is a token merge, best first
};

// How spellings become text again.
struct DecoderSpec {
  bool byte_level = false;           // spellings in the GPT-2 byte alphabet
  bool byte_tokens = false;          // tokens of kind kByte are a byte each
  std::vector<ReplaceStep> replace;  // in every spelling, in this order: U+2581 by a space
  bool strip_leading_space = false;  // of the whole text
};

struct TokenizerSpec {
  std::vector<VocabularyToken> tokens;  // by id; an empty text is no token
  std::vector<AddedToken> added;
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  BpeSpec model;
  DecoderSpec decoder;
  std::vector<TokenId> prefix;  // put around the text with add_special
  std::vector<TokenId> suffix;
  std::optional<TokenId> bos;
  std::optional<TokenId> eos;
  std::vector<TokenId> end_of_generation;
};

}  // namespace strata
