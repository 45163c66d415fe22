// Reads the tokenizer.model of SentencePiece (a protocol buffer, sentencepiece_model.proto) without the library.
#pragma once

#include <string_view>

#include "base/status.h"
#include "model/text/tokenizer_spec.h"

namespace strata {

// With the meaning SentencePiece gives the model: unigram or BPE, its normalizer, symbols the user defined, fallback to
// bytes. kInvalidArgument when the file is damaged or of another kind (words, characters).
Result<TokenizerSpec> tokenizer_spec_from_sentence_piece(std::string_view bytes);

}  // namespace strata
