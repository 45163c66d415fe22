#include "model/text/load_tokenizer.h"

#include <filesystem>
#include <optional>

#include "base/mapped_file.h"
#include "model/format/gguf.h"
#include "model/format/quoted_name.h"
#include "model/text/gguf_tokenizer.h"
#include "model/text/pipeline_tokenizer.h"
#include "model/text/sentence_piece_file.h"
#include "model/text/tokenizer_json.h"
#include "model/text/vocabulary_files.h"

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

// Absent where there is no such file.
Result<std::optional<MappedFile>> open_if_there(const std::filesystem::path& path) {
  auto file = MappedFile::open(path);
  if (file.ok()) return std::optional<MappedFile>(*std::move(file));
  if (file.status().code() == Code::kNotFound) return std::optional<MappedFile>();
  return file.status();
}

// The first file of the folder whose name ends so, by name.
std::optional<std::filesystem::path> find_ending(const std::filesystem::path& folder, std::string_view ending) {
  std::optional<std::filesystem::path> first;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (!entry.path().filename().string().ends_with(ending)) continue;
    if (!first || entry.path() < *first) first = entry.path();
  }
  return first;
}

Result<TokenizerSpec> spec_from_sentence_piece(std::string_view bytes, std::string_view config) {
  ASSIGN_OR_RETURN(TokenizerSpec spec, tokenizer_spec_from_sentence_piece(bytes));
  // As the tokenizers of Llama and T5 do where their configuration says nothing else.
  const bool begins = std::holds_alternative<BpeSpec>(spec.model);
  const std::optional<TokenId> token = begins ? spec.bos : spec.eos;
  if (token) {
    for (Frame* frame : {&spec.single, &spec.pair}) {
      set_token(*frame, begins ? FrameSide::kBefore : FrameSide::kAfter, *token, true);
    }
  }
  return with_tokenizer_config(std::move(spec), config);
}

Result<TokenizerSpec> with_config(Result<TokenizerSpec> spec, std::string_view config) {
  if (!spec.ok()) return spec;
  return with_tokenizer_config(*std::move(spec), config);
}

struct FileNames {
  const char* vocabulary;
  const char* merges;
};
constexpr FileNames kMergeFiles[] = {{"vocab.json", "merges.txt"}, {"encoder.json", "vocab.bpe"}};

// From the files of older folders, in the order in which they say most.
Result<TokenizerSpec> spec_from_older_files(const std::filesystem::path& folder, std::string_view config) {
  ASSIGN_OR_RETURN(const auto model, open_if_there(folder / "tokenizer.model"));
  if (model && !looks_like_ranks(text_of(*model))) return spec_from_sentence_piece(text_of(*model), config);
  if (model) return with_config(tokenizer_spec_from_ranks(text_of(*model)), config);
  for (const std::string_view ending : {".tiktoken", "tiktoken.model"}) {
    const auto path = find_ending(folder, ending);
    if (!path) continue;
    ASSIGN_OR_RETURN(const MappedFile ranks, MappedFile::open(*path));
    return with_config(tokenizer_spec_from_ranks(text_of(ranks)), config);
  }
  for (const FileNames& names : kMergeFiles) {
    ASSIGN_OR_RETURN(const auto vocabulary, open_if_there(folder / names.vocabulary));
    ASSIGN_OR_RETURN(const auto merges, open_if_there(folder / names.merges));
    if (vocabulary && merges) {
      return with_config(tokenizer_spec_from_merges(text_of(*vocabulary), text_of(*merges)), config);
    }
  }
  for (const std::string_view ending : {"spiece.model", "sentencepiece.bpe.model"}) {
    const auto path = find_ending(folder, ending);
    if (!path) continue;
    ASSIGN_OR_RETURN(const MappedFile pieces, MappedFile::open(*path));
    return spec_from_sentence_piece(text_of(pieces), config);
  }
  ASSIGN_OR_RETURN(const auto words, open_if_there(folder / "vocab.txt"));
  if (words) return with_config(tokenizer_spec_from_word_pieces(text_of(*words), config), config);
  return not_found(quoted_name(folder.string()) +
                   " has no tokenizer (give tokenizer.json, tokenizer.model, *.tiktoken, "
                   "vocab.json with merges.txt, or vocab.txt)");
}

Result<TokenizerSpec> tokenizer_spec_from_folder(const std::filesystem::path& folder) {
  ASSIGN_OR_RETURN(const auto tokenizer, open_if_there(folder / "tokenizer.json"));
  ASSIGN_OR_RETURN(const auto config_file, open_if_there(folder / "tokenizer_config.json"));
  const std::string_view config = config_file ? text_of(*config_file) : std::string_view();
  auto spec = tokenizer ? tokenizer_spec_from_json(text_of(*tokenizer), config) : spec_from_older_files(folder, config);
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
