// Reads tokenizer.json of Hugging Face's tokenizers (https://huggingface.co/docs/tokenizers), with the settings that
// tokenizer_config.json adds to it.
#pragma once

#include <string_view>

#include "base/status.h"
#include "model/text/tokenizer_spec.h"

namespace strata {

// `tokenizer_config` may be empty. kInvalidArgument names the field that is missing, of a wrong type or not supported.
Result<TokenizerSpec> tokenizer_spec_from_json(std::string_view tokenizer_json, std::string_view tokenizer_config = {});

// A tokenizer from other files with what tokenizer_config.json adds: tokens, begin and end. It may be empty.
Result<TokenizerSpec> with_tokenizer_config(TokenizerSpec spec, std::string_view tokenizer_config);

}  // namespace strata
