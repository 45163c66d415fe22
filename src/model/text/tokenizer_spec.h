// Everything that defines a tokenizer, whatever file it came from (GGUF metadata, tokenizer.json): the pipeline
//   added tokens split off -> normalizer -> pre-tokenizer -> model -> begin and end tokens;   decoder back to text.
// A value; make_tokenizer() (pipeline_tokenizer.h) turns it into a Tokenizer.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "model/text/frame.h"
#include "model/text/normalizer.h"
#include "model/text/pre_tokenizer.h"
#include "model/text/token_decoder.h"
#include "model/text/tokenizer.h"

namespace strata {

enum class TokenKind : uint8_t { kNormal, kUnknown, kControl, kUserDefined, kUnused, kByte };

struct VocabularyToken {
  std::string text;  // spelling in the file
  TokenKind kind = TokenKind::kNormal;
  bool in_words = true;  // the model may make it of a word or of part of one
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
  std::string next_prefix;         // spelled before each character of a word but the first
  std::string last_suffix;         // spelled after the last character of a word
  std::optional<TokenId> unknown;
  bool drop_unknown = false;      // unknown characters are taken out before anything merges
  std::vector<MergeRule> merges;  // earliest first
  std::vector<float> scores;      // SentencePiece: any two symbols whose joined spelling is a token merge, best first
};

// The longest token first, from the beginning of each word (word_piece_model.h).
struct WordPieceSpec {
  std::string first_prefix;           // of the tokens that begin words, in the file's spelling
  std::string next_prefix = "##";     // of those that go on
  size_t most_characters = SIZE_MAX;  // a longer word is unknown
  std::optional<TokenId> unknown;
};

// Words that are tokens (word_level_model.h).
struct WordLevelSpec {
  std::optional<TokenId> unknown;
};

// The cut whose scores sum highest (unigram_model.h).
struct UnigramSpec {
  std::vector<double> scores;  // by id
  std::optional<TokenId> unknown;
  double unknown_score = 0.0;     // of a character that is no token
  bool byte_fallback = false;     // unknown characters become the tokens <0x00>...<0xFF> of their bytes
  bool single_precision = false;  // scores are summed in single precision
};

using ModelSpec = std::variant<BpeSpec, WordPieceSpec, WordLevelSpec, UnigramSpec>;

struct TokenizerSpec {
  std::vector<VocabularyToken> tokens;  // by id; an empty text is no token
  std::vector<AddedToken> added;
  bool added_as_spelled = false;  // the normalizer leaves added tokens alone, also those looked for after it
  Normalizer normalizer;
  PreTokenizer pre_tokenizer;
  ModelSpec model;
  DecoderSpec decoder;
  // What add_special puts around a text, and frame_pair() around two.
  Frame single = {{FramePiece::What::kFirstText, 0, 0}};
  Frame pair = {{FramePiece::What::kFirstText, 0, 0}, {FramePiece::What::kSecondText, 0, 1}};
  std::optional<TokenId> bos;
  std::optional<TokenId> eos;
  std::vector<TokenId> end_of_generation;
};

}  // namespace strata
