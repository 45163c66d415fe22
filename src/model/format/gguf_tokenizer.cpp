#include "model/format/gguf_tokenizer.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "model/format/gguf_folder_config.h"
#include "model/format/gguf_vocabulary.h"
#include "model/format/gguf_writer.h"

namespace strata {
namespace {

using Json = nlohmann::json;
namespace fs = std::filesystem;

std::string dump(const Json* part) {
  return part != nullptr ? part->dump(-1, ' ', false, Json::error_handler_t::replace) : std::string();
}

// SentencePiece's dummy prefix: a normalizer that prepends, or the Metaspace pre-tokenizer unless told never to.
// Metaspace adds none to a text that begins with a space; llama.cpp, as SentencePiece, always does.
bool puts_space_first(const Json& tokenizer) {
  const std::string splitter = dump(json_member(tokenizer, "pre_tokenizer"));
  const bool metaspace = splitter.find("\"Metaspace\"") != std::string::npos &&
                         splitter.find("\"never\"") == std::string::npos &&
                         splitter.find("\"add_prefix_space\":false") == std::string::npos;
  return metaspace || dump(json_member(tokenizer, "normalizer")).find("\"Prepend\"") != std::string::npos;
}

// The part of a normalizer or post_processor of this type; they nest in sequences. nullptr: none.
const Json* find_part(const Json* part, std::string_view type) {
  if (part == nullptr) return nullptr;
  if (json_text(json_member(*part, "type")) == type) return part;
  for (const char* list : {"normalizers", "processors"}) {
    const Json* parts = json_member(*part, list);
    if (parts == nullptr || !parts->is_array()) continue;
    for (const Json& inner : *parts) {
      if (const Json* found = find_part(&inner, type)) return found;
    }
  }
  return nullptr;
}

// Whether a text gets a token before it and one behind.
struct Frame {
  bool first = false;
  bool last = false;
};
Frame read_frame(const Json& tokenizer, const Json& settings) {
  const Json* processor = json_member(tokenizer, "post_processor");
  if (find_part(processor, "BertProcessing") != nullptr || find_part(processor, "RobertaProcessing") != nullptr) {
    return {true, true};
  }
  const Json* pattern = find_part(processor, "TemplateProcessing");
  const Json* single = pattern != nullptr ? json_member(*pattern, "single") : nullptr;
  if (single == nullptr || !single->is_array() || single->empty()) {
    return {json_true(json_member(settings, "add_bos_token")), json_true(json_member(settings, "add_eos_token"))};
  }
  return {json_member(single->front(), "SpecialToken") != nullptr,
          json_member(single->back(), "SpecialToken") != nullptr};
}

std::optional<std::vector<uint8_t>> decode_base64(std::string_view text) {
  std::vector<uint8_t> out;
  uint32_t bits = 0;
  int n_bits = 0;
  while (text.ends_with('=')) text.remove_suffix(1);
  for (const char c : text) {
    constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const size_t digit = kDigits.find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(digit);
    n_bits += 6;
    if (n_bits < 8) continue;
    n_bits -= 8;
    out.push_back(static_cast<uint8_t>(bits >> n_bits));
  }
  return out;
}

class TokenizerExport {
 public:
  explicit TokenizerExport(GgufWriter& writer) : writer_(writer) {}

  Status run(const Json& tokenizer, const Json& settings, int64_t rows) {
    ASSIGN_OR_RETURN(vocabulary_, gguf_vocabulary(tokenizer, rows));
    writer_.add_string("tokenizer.ggml.model", vocabulary_.model);
    writer_.add_string("tokenizer.ggml.pre", vocabulary_.pre);
    writer_.add_strings("tokenizer.ggml.tokens", vocabulary_.tokens);
    writer_.add_ints("tokenizer.ggml.token_type", vocabulary_.types);
    if (!vocabulary_.scores.empty()) writer_.add_floats("tokenizer.ggml.scores", vocabulary_.scores);
    if (vocabulary_.model == "gpt2") writer_.add_strings("tokenizer.ggml.merges", vocabulary_.merges);
    if (vocabulary_.model == "llama" || vocabulary_.model == "t5") {
      writer_.add_bool("tokenizer.ggml.add_space_prefix", puts_space_first(tokenizer));
    }
    RETURN_IF_ERROR(write_normalizer(json_member(tokenizer, "normalizer")));
    write_special(tokenizer, settings);
    return ok_status();
  }

 private:
  Status write_normalizer(const Json* normalizer) {
    if (const Json* bert = find_part(normalizer, "BertNormalizer")) {
      const bool lower = json_true(json_member(*bert, "lowercase"));
      const Json* strip = json_member(*bert, "strip_accents");
      writer_.add_bool("tokenizer.ggml.normalizer.lowercase", lower);
      writer_.add_bool("tokenizer.ggml.normalizer.strip_accents", strip != nullptr ? json_true(strip) : lower);
    }
    const Json* precompiled = find_part(normalizer, "Precompiled");
    if (precompiled == nullptr || vocabulary_.model != "t5") return ok_status();
    const auto map = decode_base64(json_text(json_member(*precompiled, "precompiled_charsmap")));
    if (!map) return invalid_argument("tokenizer.json: normalizer: precompiled_charsmap is no base64", "normalizer");
    writer_.add_bytes("tokenizer.ggml.precompiled_charsmap", *map);
    const std::string steps = dump(normalizer);
    writer_.add_bool("tokenizer.ggml.remove_extra_whitespaces", steps.find(" {2,}") != std::string::npos);
    return ok_status();
  }

  void write_special(const Json& tokenizer, const Json& settings) {
    constexpr std::pair<const char*, const char*> kTokens[] = {
        {"bos_token", "bos_token_id"},     {"cls_token", "bos_token_id"},     {"eos_token", "eos_token_id"},
        {"pad_token", "padding_token_id"}, {"unk_token", "unknown_token_id"}, {"sep_token", "seperator_token_id"},
        {"mask_token", "mask_token_id"},
    };
    const Frame frame = read_frame(tokenizer, settings);
    for (const auto& [field, name] : kTokens) {
      const std::string key = "tokenizer.ggml." + std::string(name);
      const Json* token = json_member(settings, field);
      if (token != nullptr && token->is_object()) token = json_member(*token, "content");
      const auto id = vocabulary_.ids.find(json_text(token));
      if (id != vocabulary_.ids.end() && !writer_.has(key)) {
        writer_.add_uint(key, static_cast<uint32_t>(id->second));
      }
    }
    writer_.add_bool("tokenizer.ggml.add_bos_token", frame.first);
    writer_.add_bool("tokenizer.ggml.add_eos_token", frame.last && vocabulary_.model != "bert");
    if (frame.last && vocabulary_.model == "bert") writer_.add_bool("tokenizer.ggml.add_sep_token", true);
  }

  GgufWriter& writer_;
  GgufVocabulary vocabulary_;
};

std::string read_text(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

std::string chat_template(const fs::path& folder, const Json& settings) {
  std::error_code error;
  if (fs::exists(folder / "chat_template.jinja", error)) return read_text(folder / "chat_template.jinja");
  return json_text(json_member(settings, "chat_template"));
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
    const int64_t rows = gguf_folder_config(checkpoint).get_int("vocab_size").value_or(0);
    RETURN_IF_ERROR(TokenizerExport(writer).run(tokenizer, settings, rows));
    // GGUF's own key for the whole of it: what the keys above cannot say is read from here.
    writer.add_string("tokenizer.huggingface.json", read_text(folder / "tokenizer.json"));
    Json rest = settings;
    if (rest.is_object()) {
      rest.erase("chat_template");         // has a key of its own
      rest.erase("added_tokens_decoder");  // is in tokenizer.json
    }
    writer.add_string("strata.tokenizer_config", dump(&rest));
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
