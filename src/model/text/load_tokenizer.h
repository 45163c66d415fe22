// Makes a Tokenizer from what a model brings.
#pragma once

#include <filesystem>
#include <memory>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/format/checkpoint.h"
#include "model/text/tokenizer.h"

namespace strata {

// From GGUF metadata, or from the tokenizer.json (and tokenizer_config.json) of a Hugging Face folder, or from the
// files of a folder without it: SentencePiece's tokenizer.model, *.tiktoken, vocab.json and merges.txt, vocab.txt. The
// ids that end an answer include those of checkpoint.generation(). kNotFound when the model has no tokenizer;
// kInvalidArgument names the file and the field at fault.
Result<std::unique_ptr<Tokenizer>> load_tokenizer(const Checkpoint& checkpoint);

// The same from the files of a folder alone.
Result<std::unique_ptr<Tokenizer>> tokenizer_from_folder(const std::filesystem::path& folder);

Result<std::unique_ptr<Tokenizer>> tokenizer_from_gguf(const GgufFile& file);

// `tokenizer_config`: the text of tokenizer_config.json, may be empty. `end_ids` end an answer too (generation_config).
Result<std::unique_ptr<Tokenizer>> tokenizer_from_json(std::string_view tokenizer_json,
                                                       std::string_view tokenizer_config = {},
                                                       const std::vector<TokenId>& end_ids = {});

}  // namespace strata
