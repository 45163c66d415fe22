// The vocabulary of a tokenizer.json as GGUF has it: for BPE over bytes, SentencePiece's BPE, Unigram and WordPiece.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace strata {

// tokenizer.ggml.token_type
enum GgufTokenType : int32_t { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };

struct GgufVocabulary {
  std::string model;                // tokenizer.ggml.model: "gpt2", "llama", "t5", "bert"
  std::string pre;                  // tokenizer.ggml.pre
  std::vector<std::string> tokens;  // by id
  std::vector<int32_t> types;
  std::vector<float> scores;                        // of "llama" and "t5"
  std::vector<std::string> merges;                  // of "gpt2"
  std::map<std::string, int32_t, std::less<>> ids;  // by the text in tokenizer.json
};

// `rows`: of the embedding, which may be more than there are tokens; each gets a name. kInvalidArgument names the field
// that is missing, wrong, or has no form in GGUF.
Result<GgufVocabulary> gguf_vocabulary(const nlohmann::json& tokenizer, int64_t rows);

// A member of an object; nullptr when there is none or it is null.
const nlohmann::json* json_member(const nlohmann::json& object, std::string_view key);
std::string json_text(const nlohmann::json* value);  // empty where it is no string
bool json_true(const nlohmann::json* value);

}  // namespace strata
