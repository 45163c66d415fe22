// The tokenizer of a Hugging Face folder (tokenizer.json, tokenizer_config.json, chat_template.jinja) as GGUF metadata.
#pragma once

#include "base/status.h"
#include "model/format/checkpoint.h"

namespace strata {

class GgufWriter;

// A folder without a tokenizer writes the ids of config.json alone. kInvalidArgument: a kind of tokenizer that GGUF, or
// this program, has no form for (BPE has: SentencePiece's with byte fallback, and byte-level with a known pattern).
Status write_gguf_tokenizer(const Checkpoint& checkpoint, GgufWriter& writer);

}  // namespace strata
