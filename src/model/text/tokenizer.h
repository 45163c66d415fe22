// Text to token ids and back. A Tokenizer is immutable after it is made and may be used from any thread.
// Made by load_tokenizer.h. Sources: SentencePiece BPE (https://github.com/google/sentencepiece), byte-level BPE as
// published with GPT-2, the pipeline of tokenizer.json (https://huggingface.co/docs/tokenizers).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace strata {

using TokenId = int32_t;

struct EncodeOptions {
  bool add_special = true;    // begin / end tokens as the model wants them
  bool parse_special = true;  // recognise special tokens written out in the text, e.g. "<|user|>"
};

// A text, or two, with the tokens around them that a model which reads them whole (an encoder) wants.
struct FramedTokens {
  std::vector<TokenId> ids;
  std::vector<int32_t> segments;  // of each id: which text it counts to (BERT's token types), as the tokenizer says
};

// Where a token stands when it has a text of its own there.
struct TokenPlace {
  bool first = false;
  bool last = false;
};

// How the text of a sequence differs from the joined pieces of its tokens.
struct DecodeRules {
  bool first_differs = false;  // the first, or the last, token has a text of its own: piece_at()
  bool last_differs = false;
  bool drops_repeats = false;   // of equal neighbours one counts
  std::string strip_character;  // up to so many of this character are dropped at the start of the text
  size_t strip_count = 0;
  bool whole_text = false;  // more is done to the text when it is complete: complete_text()
};

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // Any bytes are accepted; what is not UTF-8 becomes byte tokens where the vocabulary has them, else unknown tokens.
  // Time grows as n log n with the length at worst, whatever the text.
  virtual std::vector<TokenId> encode(std::string_view text, const EncodeOptions& options = {}) const = 0;

  // Puts the model's tokens around a text that was encoded without them (add_special = false), so that a caller can
  // shorten it first. encode() with add_special gives the ids of frame().
  virtual FramedTokens frame(const std::vector<TokenId>& text) const {
    return {text, std::vector<int32_t>(text.size(), 0)};
  }
  // The same around two texts: a question and a passage.
  virtual FramedTokens frame_pair(const std::vector<TokenId>& first, const std::vector<TokenId>& second) const {
    FramedTokens framed = {first, std::vector<int32_t>(first.size(), 0)};
    framed.ids.insert(framed.ids.end(), second.begin(), second.end());
    framed.segments.resize(framed.ids.size(), 1);
    return framed;
  }

  // The bytes a token stands for, as part of a longer text (a leading space is kept). Special tokens give their written
  // form when `special` is set, else nothing. Ids outside [0, vocab_size) give nothing.
  virtual std::string_view piece(TokenId id, bool special = false) const = 0;

  // The text of a whole sequence: pieces joined, decode_rules() applied (a dropped space), one U+FFFD for each maximal
  // ill-formed part. Always well-formed UTF-8.
  virtual std::string decode(const std::vector<TokenId>& ids, bool special = false) const = 0;

  virtual int vocab_size() const = 0;  // ids are below this; some may stand for no token
  virtual bool is_special(TokenId id) const = 0;
  virtual std::optional<TokenId> find(std::string_view token) const = 0;  // by its spelling in the vocabulary
  virtual std::optional<TokenId> bos() const = 0;
  virtual std::optional<TokenId> eos() const = 0;
  virtual std::vector<TokenId> end_of_generation() const = 0;  // eos, eot, ... : ids that end an answer; ascending

  // What IncrementalDecoder needs to come to the text of decode().
  virtual DecodeRules decode_rules() const { return {}; }
  virtual bool is_shown(TokenId id, bool special) const { return !piece(id, special).empty(); }  // part of the text
  virtual std::string piece_at(TokenId id, TokenPlace) const { return std::string(piece(id, true)); }
  virtual std::string complete_text(std::string text) const { return text; }
};

// Where the tokens given to an IncrementalDecoder stand: at the beginning of a text, where a dummy space is dropped, or
// after others, as the answer to a prompt does, where each space counts.
enum class TextStart : uint8_t { kBeginning, kAfterOthers };

// Turns tokens into text as they come and never emits half a character: bytes of an unfinished UTF-8 sequence are held
// back until it is complete; bytes that can no longer become one are given as U+FFFD, as decode() does. From kBeginning
// all that push() and finish() returned, joined, equals decode(). One per stream; one thread.
class IncrementalDecoder {
 public:
  explicit IncrementalDecoder(const Tokenizer& tokenizer, bool special = false,
                              TextStart start = TextStart::kBeginning);
  std::string push(TokenId id);  // the text that became certain with this token, maybe empty
  std::string finish();          // what was held back

 private:
  std::string take(TokenId id, bool last);
  std::string strip(std::string text);

  const Tokenizer* tokenizer_;
  DecodeRules rules_;
  bool special_;
  bool at_beginning_;
  size_t to_strip_ = 0;
  std::optional<TokenId> previous_;
  std::optional<TokenId> waiting_;  // not certain to be followed by another
  std::string held_;                // an unfinished character
  std::string whole_;               // all so far, where nothing is certain before the end
};

}  // namespace strata
