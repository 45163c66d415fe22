// Reads a tokenizer from the metadata of a GGUF file (tokenizer.ggml.*), with the meaning llama.cpp gives the keys.
#pragma once

#include "base/status.h"
#include "model/format/gguf.h"
#include "model/text/tokenizer_spec.h"

namespace strata {

// kNotFound when the file has no tokenizer; kInvalidArgument, naming the key, when it cannot be used.
Result<TokenizerSpec> tokenizer_spec_from_gguf(const GgufFile& file);

}  // namespace strata
