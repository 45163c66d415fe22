// The parts of tokenizer.json: model, normalizer, pre-tokenizer, post-processor, decoder. Internal to the reader of
// tokenizer.json (includes simdjson).
#pragma once

#include <span>
#include <string_view>

#include "base/status.h"
#include "model/text/json_node.h"
#include "model/text/token_map.h"
#include "model/text/tokenizer_spec.h"

namespace strata {

// Ids are dense but for some reserved ones: the table of tokens is as long as the highest id.
inline constexpr size_t kReservedIds = 65536;

// Fills spec.model and the tokens of its vocabulary; `by_spelling` borrows from the document.
Status read_model(const JsonNode& node, TokenizerSpec& spec, TokenMap& by_spelling);

// Fill spec.normalizer and spec.pre_tokenizer.
Status read_normalizer(const JsonNode& node, TokenizerSpec& spec);
Status read_pre_tokenizer(const JsonNode& node, TokenizerSpec& spec);

// Fills spec.decoder.
Status read_decoder(const JsonNode& node, TokenizerSpec& spec);

// Fills spec.single and spec.pair.
Status read_post_processor(const JsonNode& node, TokenizerSpec& spec);

// {"String": "x"} or {"Regex": "x"}
Result<SplitPattern> read_split_pattern(const JsonNode& node);

// {"type": NAME, ...}: the reader of that name.
template <class Read>
struct NamedReader {
  std::string_view name;
  Read read;
};
template <class Read>
Result<const NamedReader<Read>*> reader_of(const JsonNode& node, std::string_view what,
                                           std::span<const NamedReader<Read>> readers) {
  ASSIGN_OR_RETURN(const std::string_view type, node.require_string("type"));
  std::string known;
  for (const NamedReader<Read>& reader : readers) {
    if (reader.name == type) return &reader;
    known += (known.empty() ? "" : ", ") + std::string(reader.name);
  }
  return node.wrong(std::string(what) + " " + quoted_name(type) + " is not supported (known: " + known + ")");
}

}  // namespace strata
