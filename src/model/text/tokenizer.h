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

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  // Any bytes are accepted; what is not UTF-8 becomes byte tokens where the vocabulary has them, else unknown tokens.
  // Time grows as n log n with the length at worst, whatever the text.
  virtual std::vector<TokenId> encode(std::string_view text, const EncodeOptions& options = {}) const = 0;

  // The bytes a token stands for, as part of a longer text (a leading space is kept). Special tokens give their written
  // form when `special` is set, else nothing. Ids outside [0, vocab_size) give nothing.
  virtual std::string_view piece(TokenId id, bool special = false) const = 0;

  // The text of a whole sequence: pieces joined, decoder rules at the start of the text applied (a dropped space), one
  // U+FFFD for each maximal ill-formed part. Always well-formed UTF-8.
  virtual std::string decode(const std::vector<TokenId>& ids, bool special = false) const = 0;

  virtual int vocab_size() const = 0;  // ids are below this; some may stand for no token
  virtual bool is_special(TokenId id) const = 0;
  virtual std::optional<TokenId> find(std::string_view token) const = 0;  // by its spelling in the vocabulary
  virtual std::optional<TokenId> bos() const = 0;
  virtual std::optional<TokenId> eos() const = 0;
  virtual std::vector<TokenId> end_of_generation() const = 0;  // eos, eot, ... : ids that end an answer; ascending

  // True when decode() drops one leading space of the text (SentencePiece's dummy prefix).
  virtual bool strips_leading_space() const = 0;
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
  const Tokenizer* tokenizer_;
  bool special_;
  bool drop_space_;
  std::string held_;
};

}  // namespace strata
