#include "model/format/gguf_tokenizer.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>

#include "model/format/gguf_writer.h"
#include "model/format/quoted_name.h"

namespace strata {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

// tokenizer.ggml.token_type
enum TokenType : int32_t { kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5, kByte = 6 };

constexpr int64_t kMaxVocabulary = 1 << 24;

// A member of an object that has the wanted kind; nullptr otherwise.
const Json* member(const Json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(key);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}
std::string text_of(const Json* value) {
  const auto* text = value != nullptr ? value->get_ptr<const Json::string_t*>() : nullptr;
  return text != nullptr ? *text : std::string();
}
bool is_true(const Json* value) { return value != nullptr && value->is_boolean() && *value == true; }

// The split patterns, by a part that only one of them has.
struct Pattern {
  std::string_view part;
  std::string_view gguf;
};
constexpr Pattern kPatterns[] = {
    {R"([^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*)", "llama-bpe"},
    {R"([^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*)", "qwen2"},
    {R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+)", "deepseek-v3"},
};

// tokenizer.ggml.pre of a pre_tokenizer, from its patterns; GPT-2's has none of its own.
std::string pattern_name(const Json* pre_tokenizer) {
  if (pre_tokenizer == nullptr) return {};
  const std::string text = pre_tokenizer->dump(-1, ' ', false, Json::error_handler_t::replace);
  for (const Pattern& pattern : kPatterns) {
    const std::string escaped = Json(std::string(pattern.part)).dump();
    if (text.find(escaped.substr(1, escaped.size() - 2)) != std::string::npos) return std::string(pattern.gguf);
  }
  const bool has_split = text.find("\"Split\"") != std::string::npos;
  const bool is_byte_level = text.find("\"ByteLevel\"") != std::string::npos;
  return is_byte_level && !has_split && text.find("\"Digits\"") == std::string::npos ? "gpt-2" : "";
}

// SentencePiece's dummy prefix: a normalizer that prepends, or the Metaspace pre-tokenizer unless told never to.
bool puts_space_first(const Json& tokenizer) {
  const auto dump = [](const Json* part) {
    return part != nullptr ? part->dump(-1, ' ', false, Json::error_handler_t::replace) : std::string();
  };
  const std::string splitter = dump(member(tokenizer, "pre_tokenizer"));
  const bool metaspace = splitter.find("\"Metaspace\"") != std::string::npos &&
                         splitter.find("\"never\"") == std::string::npos &&
                         splitter.find("\"add_prefix_space\":false") == std::string::npos;
  return metaspace || dump(member(tokenizer, "normalizer")).find("\"Prepend\"") != std::string::npos;
}

class TokenizerExport {
 public:
  TokenizerExport(const Checkpoint& checkpoint, GgufWriter& writer) : checkpoint_(checkpoint), writer_(writer) {}

  Status run(const Json& tokenizer, const Json& settings) {
    const Json* model = member(tokenizer, "model");
    if (model == nullptr || text_of(member(*model, "type")) != "BPE") {
      return invalid_argument("tokenizer.json: model.type: only BPE has a GGUF form here", "model.type");
    }
    RETURN_IF_ERROR(read_vocabulary(*model, member(tokenizer, "added_tokens")));
    RETURN_IF_ERROR(read_merges(member(*model, "merges")));
    const bool sentencepiece = is_true(member(*model, "byte_fallback"));
    if (sentencepiece) {
      write_sentencepiece(text_of(member(*model, "unk_token")));
      writer_.add_bool("tokenizer.ggml.add_space_prefix", puts_space_first(tokenizer));
    } else {
      const std::string pattern = pattern_name(member(tokenizer, "pre_tokenizer"));
      if (pattern.empty()) {
        return invalid_argument("tokenizer.json: pre_tokenizer: its pattern has no GGUF name here", "pre_tokenizer");
      }
      writer_.add_string("tokenizer.ggml.model", "gpt2");
      writer_.add_string("tokenizer.ggml.pre", pattern);
      writer_.add_strings("tokenizer.ggml.merges", merges_);
    }
    writer_.add_strings("tokenizer.ggml.tokens", tokens_);
    writer_.add_ints("tokenizer.ggml.token_type", types_);
    write_special(settings);
    return ok_status();
  }

 private:
  Status put(const std::string& token, const Json& id, TokenType type) {
    const auto* number = id.get_ptr<const Json::number_unsigned_t*>();
    const auto* signed_number = id.get_ptr<const Json::number_integer_t*>();
    const int64_t index = number != nullptr ? static_cast<int64_t>(std::min<uint64_t>(*number, kMaxVocabulary))
                                            : (signed_number != nullptr ? *signed_number : -1);
    if (index < 0 || index >= kMaxVocabulary) {
      return invalid_argument("tokenizer.json: token " + quoted_name(token) + " has no usable id");
    }
    const auto size = std::max(tokens_.size(), static_cast<size_t>(index) + 1);
    tokens_.resize(size);
    types_.resize(size, kUnused);
    tokens_[static_cast<size_t>(index)] = token;
    types_[static_cast<size_t>(index)] = type;
    ids_[token] = static_cast<int32_t>(index);
    return ok_status();
  }

  Status read_vocabulary(const Json& model, const Json* added) {
    const Json* vocabulary = member(model, "vocab");
    if (vocabulary == nullptr || !vocabulary->is_object()) {
      return invalid_argument("tokenizer.json: model.vocab: expected an object", "model.vocab");
    }
    for (const auto& [token, id] : vocabulary->items()) RETURN_IF_ERROR(put(token, id, kNormal));
    if (added != nullptr && added->is_array()) {
      for (const Json& entry : *added) {
        const Json* id = member(entry, "id");
        if (id == nullptr) return invalid_argument("tokenizer.json: added_tokens: an entry has no id", "added_tokens");
        RETURN_IF_ERROR(
            put(text_of(member(entry, "content")), *id, is_true(member(entry, "special")) ? kControl : kUserDefined));
      }
    }
    // Embeddings may have more rows than there are tokens; GGUF wants a name for each.
    const int64_t rows = std::min(checkpoint_.config().get_int("vocab_size").value_or(0), kMaxVocabulary);
    if (rows > static_cast<int64_t>(tokens_.size())) {
      tokens_.resize(static_cast<size_t>(rows));
      types_.resize(tokens_.size(), kUnused);
    }
    for (size_t i = 0; i < tokens_.size(); ++i) {
      if (types_[i] == kUnused) tokens_[i] = "[PAD" + std::to_string(i) + "]";
    }
    return ok_status();
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
      merges_.push_back(is_pair ? text_of(&merge[0]) + " " + text_of(&merge[1]) : text_of(&merge));
    }
    return ok_status();
  }

  // SentencePiece merges the pair whose result scores highest: the order of the merges becomes the scores.
  void write_sentencepiece(const std::string& unknown) {
    std::vector<float> scores(tokens_.size(), 0.0f);
    for (size_t i = 0; i < tokens_.size(); ++i) {
      const std::string& token = tokens_[i];
      if (token == unknown) types_[i] = kUnknown;
      if (token.size() == 6 && token.starts_with("<0x") && token.ends_with(">")) types_[i] = kByte;
      if (types_[i] == kNormal) scores[i] = -1e6f;  // single characters: never the result of a merge
    }
    for (size_t rank = merges_.size(); rank-- > 0;) {
      std::string result = merges_[rank];
      const size_t space = result.find(' ');
      if (space != std::string::npos) result.erase(space, 1);
      const auto id = ids_.find(result);
      if (id != ids_.end()) scores[static_cast<size_t>(id->second)] = -static_cast<float>(rank);
    }
    writer_.add_string("tokenizer.ggml.model", "llama");
    writer_.add_string("tokenizer.ggml.pre", "default");
    writer_.add_floats("tokenizer.ggml.scores", scores);
  }

  void write_special(const Json& settings) {
    constexpr std::pair<const char*, const char*> kTokens[] = {{"bos_token", "tokenizer.ggml.bos_token_id"},
                                                               {"eos_token", "tokenizer.ggml.eos_token_id"},
                                                               {"pad_token", "tokenizer.ggml.padding_token_id"},
                                                               {"unk_token", "tokenizer.ggml.unknown_token_id"}};
    for (const auto& [field, key] : kTokens) {
      const Json* token = member(settings, field);
      if (token != nullptr && token->is_object()) token = member(*token, "content");
      const auto id = ids_.find(text_of(token));
      if (id != ids_.end()) writer_.add_uint(key, static_cast<uint32_t>(id->second));
    }
    for (const char* flag : {"add_bos_token", "add_eos_token"}) {
      const Json* value = member(settings, flag);
      if (value != nullptr && value->is_boolean())
        writer_.add_bool(std::string("tokenizer.ggml.") + flag, is_true(value));
    }
  }

  const Checkpoint& checkpoint_;
  GgufWriter& writer_;
  std::vector<std::string> tokens_;
  std::vector<int32_t> types_;
  std::vector<std::string> merges_;
  std::map<std::string, int32_t, std::less<>> ids_;
};

std::string chat_template(const fs::path& folder, const Json& settings) {
  std::ifstream file(folder / "chat_template.jinja", std::ios::binary);
  if (file) return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  return text_of(member(settings, "chat_template"));
}

}  // namespace

Status write_gguf_tokenizer(const Checkpoint& checkpoint, GgufWriter& writer) {
  const fs::path& folder = checkpoint.folder();
  std::error_code error;
  Json settings = Json::object();
  if (fs::exists(folder / "tokenizer_config.json", error)) {
    ASSIGN_OR_RETURN(settings, read_json_file(folder / "tokenizer_config.json"));
  }
  if (fs::exists(folder / "tokenizer.json", error)) {
    ASSIGN_OR_RETURN(const Json tokenizer, read_json_file(folder / "tokenizer.json"));
    RETURN_IF_ERROR(TokenizerExport(checkpoint, writer).run(tokenizer, settings));
  } else if (fs::exists(folder / "tokenizer.model", error)) {
    return invalid_argument(folder.string() +
                            ": tokenizer.model alone is not read (save the tokenizer as tokenizer.json)");
  } else {
    writer.add_string("tokenizer.ggml.model", "no_vocab");
  }
  const auto put_id = [&](const char* key, std::optional<int64_t> id) {
    if (id && *id >= 0 && *id <= INT32_MAX && !writer.has(key)) writer.add_uint(key, static_cast<uint32_t>(*id));
  };
  put_id("tokenizer.ggml.bos_token_id", checkpoint.generation().bos_id);
  if (!checkpoint.generation().eos_ids.empty()) {
    put_id("tokenizer.ggml.eos_token_id", checkpoint.generation().eos_ids.front());
    put_id("tokenizer.ggml.eot_token_id", checkpoint.generation().eos_ids.back());
  }
  const std::string chat = chat_template(folder, settings);
  if (!chat.empty()) writer.add_string("tokenizer.chat_template", chat);
  return ok_status();
}

}  // namespace strata
