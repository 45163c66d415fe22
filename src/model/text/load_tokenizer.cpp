#include "model/text/load_tokenizer.h"

#include <filesystem>

#include "base/mapped_file.h"
#include "model/format/gguf.h"
#include "model/format/quoted_name.h"
#include "model/text/gguf_tokenizer.h"
#include "model/text/pipeline_tokenizer.h"
#include "model/text/tokenizer_json.h"

namespace strata {
namespace {

void add_end_ids(const std::vector<TokenId>& ids, TokenizerSpec& spec) {
  for (const TokenId id : ids) {
    if (id >= 0 && static_cast<size_t>(id) < spec.tokens.size()) spec.end_of_generation.push_back(id);
  }
}

std::string_view text_of(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

Result<TokenizerSpec> tokenizer_spec_from_folder(const std::filesystem::path& folder) {
  auto tokenizer = MappedFile::open(folder / "tokenizer.json");
  if (!tokenizer.ok()) {
    if (tokenizer.status().code() != Code::kNotFound) return tokenizer.status();
    return not_found(quoted_name(folder.string()) + " has no tokenizer (give tokenizer.json)");
  }
  auto config = MappedFile::open(folder / "tokenizer_config.json");
  if (!config.ok() && config.status().code() != Code::kNotFound) return config.status();
  auto spec = tokenizer_spec_from_json(text_of(*tokenizer), config.ok() ? text_of(*config) : std::string_view());
  if (!spec.ok()) return spec.status().with_context(quoted_name(folder.string()));
  return spec;
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> tokenizer_from_folder(const std::filesystem::path& folder) {
  ASSIGN_OR_RETURN(TokenizerSpec spec, tokenizer_spec_from_folder(folder));
  return make_tokenizer(std::move(spec));
}

Result<std::unique_ptr<Tokenizer>> tokenizer_from_gguf(const GgufFile& file) {
  ASSIGN_OR_RETURN(TokenizerSpec spec, tokenizer_spec_from_gguf(file));
  return make_tokenizer(std::move(spec));
}

Result<std::unique_ptr<Tokenizer>> tokenizer_from_json(std::string_view tokenizer_json,
                                                       std::string_view tokenizer_config,
                                                       const std::vector<TokenId>& end_ids) {
  ASSIGN_OR_RETURN(TokenizerSpec spec, tokenizer_spec_from_json(tokenizer_json, tokenizer_config));
  add_end_ids(end_ids, spec);
  return make_tokenizer(std::move(spec));
}

Result<std::unique_ptr<Tokenizer>> load_tokenizer(const Checkpoint& checkpoint) {
  const GenerationDefaults& generation = checkpoint.generation();
  TokenizerSpec spec;
  if (checkpoint.gguf() != nullptr) {
    ASSIGN_OR_RETURN(spec, tokenizer_spec_from_gguf(*checkpoint.gguf()));
  } else {
    ASSIGN_OR_RETURN(spec, tokenizer_spec_from_folder(checkpoint.folder()));
  }
  const auto in_vocabulary = [&](TokenId id) { return id >= 0 && static_cast<size_t>(id) < spec.tokens.size(); };
  if (!spec.bos && generation.bos_id && in_vocabulary(*generation.bos_id)) spec.bos = generation.bos_id;
  if (!spec.eos && !generation.eos_ids.empty() && in_vocabulary(generation.eos_ids[0]))
    spec.eos = generation.eos_ids[0];
  add_end_ids(generation.eos_ids, spec);
  return make_tokenizer(std::move(spec));
}

}  // namespace strata
