#include "model/format/gguf_vocabulary.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "model/format/quoted_name.h"

namespace strata {
namespace {

using Json = nlohmann::json;

constexpr int64_t kMaxVocabulary = 1 << 24;
constexpr std::string_view kMetaspace = "\xE2\x96\x81";

// The split patterns, by a part that only one of them has; the more particular first.
struct Pattern {
  std::string_view part;
  std::string_view gguf;
};
constexpr Pattern kPatterns[] = {
    {R"([\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t)", "gpt-4o"},
    {R"([\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?)", "tekken"},
    {R"([^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}|)", "qwen35"},
    {R"([^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*)", "llama-bpe"},
    {R"([^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*)", "qwen2"},
    {R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+)", "deepseek-v3"},
    {"[A-Za-z\xC2\xB5\xC3\x80-\xC3\x96", "deepseek-llm"},
    {R"(\s?\p{P}+)", "deepseek-coder"},
    {"[0-9][0-9][0-9]", "falcon"},
    {" ?[^(\\s|[.,!?", "bloom"},
};

std::string dump(const Json* part) {
  return part != nullptr ? part->dump(-1, ' ', false, Json::error_handler_t::replace) : std::string();
}

// tokenizer.ggml.pre of a pre_tokenizer, from its patterns; GPT-2's has none of its own.
std::string pattern_name(const Json& tokenizer, bool merges_first) {
  const std::string text = dump(json_member(tokenizer, "pre_tokenizer"));
  const auto has = [&](std::string_view part) { return text.find(part) != std::string::npos; };
  for (const Pattern& pattern : kPatterns) {
    const std::string escaped = Json(std::string(pattern.part)).dump();
    if (!has(std::string_view(escaped).substr(1, escaped.size() - 2))) continue;
    return pattern.gguf == "llama-bpe" && merges_first ? "smaug-bpe" : std::string(pattern.gguf);
  }
  if (has("\"ByteLevel\"") && has("\"individual_digits\":true")) return "starcoder";
  if (has("\"ByteLevel\"") && !has("\"Split\"") && !has("\"Digits\"")) return "gpt-2";
  log_warning("tokenizer.json: pre_tokenizer: its pattern has no GGUF name here; other programs will split by another");
  return "default";
}

class VocabularyReader {
 public:
  Result<GgufVocabulary> read(const Json& tokenizer, int64_t rows) {
    const Json* model = json_member(tokenizer, "model");
    const std::string type = model != nullptr ? json_text(json_member(*model, "type")) : std::string();
    if (type == "BPE") {
      RETURN_IF_ERROR(read_tokens(*model));
      RETURN_IF_ERROR(read_merges(json_member(*model, "merges")));
    } else if (type == "Unigram") {
      RETURN_IF_ERROR(read_unigram(*model));
    } else if (type == "WordPiece") {
      RETURN_IF_ERROR(read_tokens(*model));
    } else {
      return invalid_argument("tokenizer.json: model.type: expected BPE, Unigram or WordPiece", "model.type");
    }
    RETURN_IF_ERROR(read_added(json_member(tokenizer, "added_tokens")));
    name_unused(rows);
    const std::string unknown = json_text(json_member(*model, "unk_token"));
    if (type == "Unigram") finish_unigram();
    if (type == "WordPiece") finish_word_pieces(unknown);
    if (type == "BPE" && json_true(json_member(*model, "byte_fallback"))) finish_sentencepiece(unknown);
    if (type == "BPE" && out_.model.empty()) {
      out_.model = "gpt2";
      out_.pre = pattern_name(tokenizer, !json_true(json_member(*model, "ignore_merges")));
    }
    return std::move(out_);
  }

 private:
  Status put(const std::string& token, const Json& id, GgufTokenType type) {
    const auto* number = id.get_ptr<const Json::number_unsigned_t*>();
    const auto* signed_number = id.get_ptr<const Json::number_integer_t*>();
    const int64_t index = number != nullptr ? static_cast<int64_t>(std::min<uint64_t>(*number, kMaxVocabulary))
                                            : (signed_number != nullptr ? *signed_number : -1);
    if (index < 0 || index >= kMaxVocabulary) {
      return invalid_argument("tokenizer.json: token " + quoted_name(token) + " has no usable id");
    }
    resize(static_cast<size_t>(index) + 1);
    out_.tokens[static_cast<size_t>(index)] = token;
    out_.types[static_cast<size_t>(index)] = type;
    out_.ids[token] = static_cast<int32_t>(index);
    return ok_status();
  }

  void resize(size_t size) {
    size = std::max(size, out_.tokens.size());
    out_.tokens.resize(size);
    out_.types.resize(size, kUnused);
  }

  Status read_tokens(const Json& model) {
    const Json* vocabulary = json_member(model, "vocab");
    if (vocabulary == nullptr || !vocabulary->is_object()) {
      return invalid_argument("tokenizer.json: model.vocab: expected an object", "model.vocab");
    }
    for (const auto& [token, id] : vocabulary->items()) RETURN_IF_ERROR(put(token, id, kNormal));
    return ok_status();
  }

  // A list of [piece, score].
  Status read_unigram(const Json& model) {
    const Json* vocabulary = json_member(model, "vocab");
    if (vocabulary == nullptr || !vocabulary->is_array()) {
      return invalid_argument("tokenizer.json: model.vocab: expected an array", "model.vocab");
    }
    for (const Json& entry : *vocabulary) {
      if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() || !entry[1].is_number()) {
        return invalid_argument("tokenizer.json: model.vocab: expected pairs of a piece and its score", "model.vocab");
      }
      RETURN_IF_ERROR(put(entry[0].get_ref<const std::string&>(), out_.scores.size(), kNormal));
      out_.scores.push_back(entry[1].get<float>());
    }
    const Json* unknown = json_member(model, "unk_id");
    const int64_t id = unknown != nullptr && unknown->is_number_integer() ? unknown->get<int64_t>() : -1;
    if (id >= 0 && id < static_cast<int64_t>(out_.types.size())) out_.types[static_cast<size_t>(id)] = kUnknown;
    return ok_status();
  }

  Status read_added(const Json* added) {
    if (added == nullptr || !added->is_array()) return ok_status();
    for (const Json& entry : *added) {
      const Json* id = json_member(entry, "id");
      if (id == nullptr) return invalid_argument("tokenizer.json: added_tokens: an entry has no id", "added_tokens");
      const bool special = json_true(json_member(entry, "special"));
      const std::string text = json_text(json_member(entry, "content"));
      const auto known = out_.ids.find(text);
      const bool unknown = known != out_.ids.end() && out_.types[static_cast<size_t>(known->second)] == kUnknown;
      RETURN_IF_ERROR(put(text, *id, unknown ? kUnknown : (special ? kControl : kUserDefined)));
    }
    return ok_status();
  }

  // Embeddings may have more rows than there are tokens; GGUF wants a name for each.
  void name_unused(int64_t rows) {
    resize(static_cast<size_t>(std::clamp<int64_t>(rows, 0, kMaxVocabulary)));
    for (size_t i = 0; i < out_.tokens.size(); ++i) {
      if (out_.types[i] == kUnused) out_.tokens[i] = "[PAD" + std::to_string(i) + "]";
    }
  }

  // "a b", or ["a", "b"] in newer files.
  Status read_merges(const Json* merges) {
    if (merges == nullptr || !merges->is_array()) {
      return invalid_argument("tokenizer.json: model.merges: expected an array", "model.merges");
    }
    for (const Json& merge : *merges) {
      const bool is_pair = merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string();
      if (!is_pair && !merge.is_string()) {
        return invalid_argument("tokenizer.json: model.merges: expected pairs of tokens", "model.merges");
      }
      out_.merges.push_back(is_pair ? json_text(&merge[0]) + " " + json_text(&merge[1]) : json_text(&merge));
    }
    return ok_status();
  }

  // SentencePiece merges the pair whose result scores highest: the order of the merges becomes the scores.
  void finish_sentencepiece(const std::string& unknown) {
    out_.model = "llama";
    out_.pre = "default";
    out_.scores.assign(out_.tokens.size(), 0.0f);
    for (size_t i = 0; i < out_.tokens.size(); ++i) {
      const std::string& token = out_.tokens[i];
      if (token == unknown) out_.types[i] = kUnknown;
      if (token.size() == 6 && token.starts_with("<0x") && token.ends_with(">")) out_.types[i] = kByte;
      if (out_.types[i] == kNormal) out_.scores[i] = -1e6f;  // single characters: never the result of a merge
    }
    for (size_t rank = out_.merges.size(); rank-- > 0;) {
      std::string result = out_.merges[rank];
      const size_t space = result.find(' ');
      if (space != std::string::npos) result.erase(space, 1);
      const auto id = out_.ids.find(result);
      if (id != out_.ids.end()) out_.scores[static_cast<size_t>(id->second)] = -static_cast<float>(rank);
    }
    out_.merges.clear();
  }

  void finish_unigram() {
    out_.model = "t5";
    out_.pre = "default";
    out_.scores.resize(out_.tokens.size(), 0.0f);
  }

  // Pieces that begin a word have a mark before them, instead of "##" before the others.
  void finish_word_pieces(const std::string& unknown) {
    out_.model = "bert";
    out_.pre = "default";
    for (size_t i = 0; i < out_.tokens.size(); ++i) {
      std::string& token = out_.tokens[i];
      if (token == unknown) out_.types[i] = out_.types[i] == kNormal ? kUnknown : out_.types[i];
      if (out_.types[i] != kNormal) continue;
      token = token.starts_with("##") ? token.substr(2) : std::string(kMetaspace) + token;
    }
  }

  GgufVocabulary out_;
};

}  // namespace

const Json* json_member(const Json& object, std::string_view key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

std::string json_text(const Json* value) {
  const auto* text = value != nullptr ? value->get_ptr<const Json::string_t*>() : nullptr;
  return text != nullptr ? *text : std::string();
}

bool json_true(const Json* value) { return value != nullptr && value->is_boolean() && *value == true; }

Result<GgufVocabulary> gguf_vocabulary(const Json& tokenizer, int64_t rows) {
  return VocabularyReader().read(tokenizer, rows);
}

}  // namespace strata
