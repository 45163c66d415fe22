// The steps of tokenizer.json around the model: normalizer, pre-tokenizer, post-processor, decoder. Internal to the
// reader of tokenizer.json (includes simdjson).
#pragma once

#include "base/status.h"
#include "model/text/json_node.h"
#include "model/text/tokenizer_spec.h"

namespace strata {

// Fill spec.normalizer and spec.pre_tokenizer; spec.model.byte_level becomes true where one of them spells bytes.
Status read_normalizer(const JsonNode& node, TokenizerSpec& spec);
Status read_pre_tokenizer(const JsonNode& node, TokenizerSpec& spec);

// Fills spec.decoder.
Status read_decoder(const JsonNode& node, TokenizerSpec& spec);

// Fills spec.prefix and spec.suffix with what goes around a single text.
Status read_post_processor(const JsonNode& node, TokenizerSpec& spec);

}  // namespace strata
