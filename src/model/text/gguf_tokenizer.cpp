#include "model/text/gguf_tokenizer.h"

#include <algorithm>
#include <cctype>
#include <string>
#include <utility>

#include "model/format/quoted_name.h"
#include "model/text/end_of_generation.h"
#include "model/text/gguf_word_patterns.h"
#include "model/text/token_map.h"

namespace strata {
namespace {

constexpr std::string_view kMetaspace = "\xE2\x96\x81";

Status bad_key(std::string_view key, std::string_view why) {
  return invalid_argument(std::string(key) + ": " + std::string(why), std::string(key));
}

Result<std::vector<std::string_view>> require_strings(const GgufFile& file, std::string_view key) {
  const GgufValue* value = file.find(key);
  if (value == nullptr) return bad_key(key, "missing");
  auto strings = value->as_strings();
  if (!strings) return bad_key(key, "not a list of strings");
  return *std::move(strings);
}

TokenKind kind_of(int64_t number) {
  switch (number) {
    case 2:
      return TokenKind::kUnknown;
    case 3:
      return TokenKind::kControl;
    case 4:
      return TokenKind::kUserDefined;
    case 5:
      return TokenKind::kUnused;
    case 6:
      return TokenKind::kByte;
    default:
      return TokenKind::kNormal;
  }
}

Status read_vocabulary(const GgufFile& file, TokenizerSpec& spec) {
  ASSIGN_OR_RETURN(const auto texts, require_strings(file, "tokenizer.ggml.tokens"));
  if (texts.empty()) return bad_key("tokenizer.ggml.tokens", "empty");
  if (texts.size() > (size_t{1} << 30)) return bad_key("tokenizer.ggml.tokens", "more than 2^30 tokens");
  spec.tokens.resize(texts.size());
  for (size_t id = 0; id < texts.size(); ++id) spec.tokens[id].text = texts[id];
  const GgufValue* types = file.find("tokenizer.ggml.token_type");
  if (types == nullptr) return ok_status();
  const auto numbers = types->as_ints();
  if (!numbers || numbers->size() != texts.size()) {
    return bad_key("tokenizer.ggml.token_type",
                   "not one number for each of the " + std::to_string(texts.size()) + " tokens");
  }
  for (size_t id = 0; id < texts.size(); ++id) spec.tokens[id].kind = kind_of((*numbers)[id]);
  return ok_status();
}

// The id under `key`, nullopt when absent or, as converters write for "none", outside the vocabulary.
std::optional<TokenId> token_id(const GgufFile& file, std::string_view key, const TokenizerSpec& spec) {
  const auto id = file.get_int(key);
  if (!id || *id < 0 || static_cast<size_t>(*id) >= spec.tokens.size()) return std::nullopt;
  return static_cast<TokenId>(*id);
}

Status read_scores(const GgufFile& file, TokenizerSpec& spec) {
  const GgufValue* value = file.find("tokenizer.ggml.scores");
  if (value == nullptr) return bad_key("tokenizer.ggml.scores", "missing");
  const auto scores = value->as_doubles();
  if (!scores || scores->size() != spec.tokens.size()) {
    return bad_key("tokenizer.ggml.scores",
                   "not one number for each of the " + std::to_string(spec.tokens.size()) + " tokens");
  }
  spec.model.scores.assign(scores->begin(), scores->end());
  return ok_status();
}

Status read_merges(const GgufFile& file, TokenizerSpec& spec) {
  constexpr std::string_view kKey = "tokenizer.ggml.merges";
  ASSIGN_OR_RETURN(const auto lines, require_strings(file, kKey));
  TokenMap by_spelling(spec.tokens.size());
  for (size_t id = 0; id < spec.tokens.size(); ++id) {
    if (!spec.tokens[id].text.empty()) by_spelling.insert(spec.tokens[id].text, static_cast<TokenId>(id));
  }
  spec.model.merges.reserve(lines.size());
  for (size_t i = 0; i < lines.size(); ++i) {
    const size_t space = lines[i].find(' ', 1);
    if (space == std::string_view::npos) return bad_key(kKey, "entry " + std::to_string(i) + " is no pair");
    const std::string_view left = lines[i].substr(0, space);
    const std::string_view right = lines[i].substr(space + 1);
    const auto left_id = by_spelling.find(left);
    const auto right_id = by_spelling.find(right);
    const auto result = by_spelling.find(std::string(left) + std::string(right));
    if (!left_id || !right_id || !result) {
      return bad_key(kKey, "entry " + std::to_string(i) + " names a token that is not in the vocabulary (" +
                               quoted_name(lines[i]) + ")");
    }
    spec.model.merges.push_back({*left_id, *right_id, *result});
  }
  return ok_status();
}

bool name_has(const GgufFile& file, std::string_view key, std::string_view part) {
  std::string name(file.get_string(key).value_or(""));
  std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
  return name.find(part) != std::string::npos;
}

// Control, unknown and user-defined tokens are found in the text before the model sees it. GGUF does not store which of
// them take white space along; for the models where some do, llama.cpp knows it by name, and so do we.
void add_added_tokens(const GgufFile& file, TokenizerSpec& spec) {
  const bool phi3 = name_has(file, "general.name", "phi-3") || name_has(file, "general.name", "phi3");
  const bool jina = name_has(file, "tokenizer.ggml.pre", "jina-v2");
  const bool modern_bert = name_has(file, "general.name", "modern-bert");
  for (size_t id = 0; id < spec.tokens.size(); ++id) {
    const VocabularyToken& token = spec.tokens[id];
    const bool special = token.kind == TokenKind::kControl || token.kind == TokenKind::kUnknown;
    if ((!special && token.kind != TokenKind::kUserDefined) || token.text.empty()) continue;
    AddedToken added;
    added.id = static_cast<TokenId>(id);
    added.content = token.text;
    added.special = special;
    added.right_strip = phi3 && token.text != "<unk>" && token.text != "<s>" && token.text != "<|endoftext|>";
    added.left_strip = (jina && token.text == "<mask>") || (modern_bert && token.text == "[MASK]");
    spec.added.push_back(std::move(added));
  }
}

void decode_metaspace(DecoderSpec& decoder) {
  decoder.byte_tokens = true;
  decoder.replace.push_back({SplitPattern::literal(std::string(kMetaspace)), " "});
}

Status read_sentencepiece(const GgufFile& file, TokenizerSpec& spec) {
  RETURN_IF_ERROR(read_scores(file, spec));
  spec.model.byte_fallback = true;
  spec.model.fuse_unknown = true;
  spec.model.unknown = token_id(file, "tokenizer.ggml.unknown_token_id", spec);
  const bool prefix = file.get_bool("tokenizer.ggml.add_space_prefix").value_or(true);
  std::vector<NormalizerStep> steps;
  if (prefix) steps.emplace_back(PrependStep{" "});
  steps.emplace_back(ReplaceStep{SplitPattern::literal(" "), std::string(kMetaspace)});
  spec.normalizer = Normalizer(std::move(steps));
  decode_metaspace(spec.decoder);
  spec.decoder.strip_leading_space = prefix;
  return ok_status();
}

Status read_byte_level(const GgufFile& file, std::string_view pre, TokenizerSpec& spec, bool& add_bos) {
  const GgufWordPatterns* patterns = find_gguf_word_patterns(pre);
  if (patterns == nullptr) {
    return bad_key("tokenizer.ggml.pre",
                   "unknown pre-tokenizer " + quoted_name(pre) + " (known: " + known_gguf_word_patterns() + ")");
  }
  RETURN_IF_ERROR(read_merges(file, spec));
  std::vector<PreTokenizerStep> steps;
  for (const std::string_view expression : patterns->expressions) {
    ASSIGN_OR_RETURN(auto pattern, SplitPattern::regex(expression));
    steps.emplace_back(SplitStep{std::move(pattern)});
  }
  spec.pre_tokenizer = PreTokenizer(std::move(steps));
  spec.model.byte_level = patterns->byte_level;
  spec.model.byte_fallback = !patterns->byte_level;
  spec.model.whole_words_first = patterns->whole_words_first;
  spec.model.unknown = token_id(file, "tokenizer.ggml.unknown_token_id", spec);
  spec.decoder.byte_level = patterns->byte_level;
  if (!patterns->byte_level) {
    decode_metaspace(spec.decoder);
    spec.normalizer = Normalizer({ReplaceStep{SplitPattern::literal(" "), std::string(kMetaspace)}});
  }
  add_bos = patterns->add_bos;
  return ok_status();
}

void read_end_tokens(const GgufFile& file, TokenizerSpec& spec, bool add_bos) {
  spec.bos = token_id(file, "tokenizer.ggml.bos_token_id", spec);
  spec.eos = token_id(file, "tokenizer.ggml.eos_token_id", spec);
  for (const std::string_view key : {"tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"}) {
    if (const auto id = token_id(file, key, spec)) spec.end_of_generation.push_back(*id);
  }
  if (file.get_bool("tokenizer.ggml.add_bos_token").value_or(add_bos) && spec.bos) spec.prefix.push_back(*spec.bos);
  if (file.get_bool("tokenizer.ggml.add_eos_token").value_or(false) && spec.eos) spec.suffix.push_back(*spec.eos);
}

}  // namespace

Result<TokenizerSpec> tokenizer_spec_from_gguf(const GgufFile& file) {
  const auto model = file.get_string("tokenizer.ggml.model");
  if (!model || *model == "none" || *model == "no_vocab") {
    return not_found(quoted_name(file.path().string()) +
                     " has no tokenizer (give the model's tokenizer.json, or convert the model with its vocabulary)");
  }
  TokenizerSpec spec;
  RETURN_IF_ERROR(read_vocabulary(file, spec));
  bool add_bos = true;
  if (*model == "llama") {
    RETURN_IF_ERROR(read_sentencepiece(file, spec));
  } else if (*model == "gpt2" || *model == "gemma4") {
    const std::string_view named = file.get_string("tokenizer.ggml.pre").value_or("default");
    RETURN_IF_ERROR(read_byte_level(file, *model == "gemma4" ? "gemma4" : named, spec, add_bos));
  } else {
    return bad_key("tokenizer.ggml.model",
                   "unknown tokenizer " + quoted_name(*model) + " (known: llama, gpt2, gemma4)");
  }
  read_end_tokens(file, spec, add_bos);
  add_end_of_generation(spec, true);
  add_added_tokens(file, spec);
  return spec;
}

}  // namespace strata
