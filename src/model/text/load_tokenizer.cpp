#include "model/text/load_tokenizer.h"

#include "model/format/gguf.h"
#include "model/format/quoted_name.h"
#include "model/text/gguf_tokenizer.h"
#include "model/text/pipeline_tokenizer.h"

namespace strata {
namespace {

void add_end_ids(const std::vector<TokenId>& ids, TokenizerSpec& spec) {
  for (const TokenId id : ids) {
    if (id >= 0 && static_cast<size_t>(id) < spec.tokens.size()) spec.end_of_generation.push_back(id);
  }
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> tokenizer_from_gguf(const GgufFile& file) {
  ASSIGN_OR_RETURN(TokenizerSpec spec, tokenizer_spec_from_gguf(file));
  return make_tokenizer(std::move(spec));
}

Result<std::unique_ptr<Tokenizer>> load_tokenizer(const Checkpoint& checkpoint) {
  if (checkpoint.gguf() == nullptr) {
    return not_found(quoted_name(checkpoint.path().string()) + " has no tokenizer (give tokenizer.json)");
  }
  ASSIGN_OR_RETURN(TokenizerSpec spec, tokenizer_spec_from_gguf(*checkpoint.gguf()));
  add_end_ids(checkpoint.generation().eos_ids, spec);
  return make_tokenizer(std::move(spec));
}

}  // namespace strata
