// Tokenizers from the files that stand in folders without tokenizer.json. What such files leave out (how the text is
// cut into words, special tokens) is known for the vocabularies people have, by their size.
#pragma once

#include <string_view>

#include "base/status.h"
#include "model/text/tokenizer_spec.h"

namespace strata {

// tiktoken's: a line for each token, its bytes in base64 and its rank (https://github.com/openai/tiktoken). The bytes
// of two neighbours merge when together they are a token, lowest rank first.
Result<TokenizerSpec> tokenizer_spec_from_ranks(std::string_view lines);
bool looks_like_ranks(std::string_view bytes);

// GPT-2's: a JSON object from spelling to id (vocab.json, encoder.json) and a pair for each merge (merges.txt,
// vocab.bpe).
Result<TokenizerSpec> tokenizer_spec_from_merges(std::string_view vocabulary_json, std::string_view merges);

// BERT's vocab.txt: a token a line. `config` is tokenizer_config.json, may be empty.
Result<TokenizerSpec> tokenizer_spec_from_word_pieces(std::string_view lines, std::string_view config);

}  // namespace strata
