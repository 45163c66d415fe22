#include "model/text/vocabulary_files.h"

#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "model/text/byte_alphabet.h"
#include "model/text/chars_map.h"
#include "model/text/gguf_word_patterns.h"
#include "model/text/tokenizer_json.h"

namespace strata {
namespace {

using Json = nlohmann::json;

struct Special {
  TokenId id;
  std::string_view text;
};
constexpr Special kGpt2Special[] = {{50256, "<|endoftext|>"}};
constexpr Special kGpt4Special[] = {{100257, "<|endoftext|>"},
                                    {100258, "<|fim_prefix|>"},
                                    {100259, "<|fim_middle|>"},
                                    {100260, "<|fim_suffix|>"},
                                    {100276, "<|endofprompt|>"}};
constexpr Special kGpt4oSpecial[] = {{199999, "<|endoftext|>"}, {200018, "<|endofprompt|>"}};
constexpr Special kLlama3Special[] = {{128000, "<|begin_of_text|>"},   {128001, "<|end_of_text|>"},
                                      {128006, "<|start_header_id|>"}, {128007, "<|end_header_id|>"},
                                      {128008, "<|eom_id|>"},          {128009, "<|eot_id|>"}};
constexpr Special kQwenSpecial[] = {{151643, "<|endoftext|>"}, {151644, "<|im_start|>"}, {151645, "<|im_end|>"}};
constexpr Special kKimiSpecial[] = {{163584, "[BOS]"}, {163585, "[EOS]"}, {163586, "<|im_end|>"}};

// What is known of a vocabulary of so many tokens.
struct Family {
  size_t n_tokens;
  std::string_view words;  // a name of gguf_word_patterns.h
  bool nfc;
  bool begins;  // texts begin with the first of the special tokens
  std::span<const Special> special;
};
constexpr Family kFamilies[] = {
    {50256, "gpt-2", false, false, kGpt2Special},   {50257, "gpt-2", false, false, kGpt2Special},
    {100256, "dbrx", false, false, kGpt4Special},   {128000, "llama-bpe", false, true, kLlama3Special},
    {151643, "qwen2", true, false, kQwenSpecial},   {163584, "kimi-k2", false, false, kKimiSpecial},
    {199998, "gpt-4o", false, false, kGpt4oSpecial}};

const Family* family_of(size_t n_tokens) {
  for (const Family& family : kFamilies) {
    if (family.n_tokens == n_tokens) return &family;
  }
  return nullptr;
}

Status cut_into_words(std::string_view name, bool nfc, TokenizerSpec& spec) {
  const GgufWordPatterns* patterns = find_gguf_word_patterns(name);
  if (patterns == nullptr) return invalid_argument("no pattern " + std::string(name));
  std::vector<PreTokenizerStep> steps;
  for (const std::string_view expression : patterns->expressions) {
    ASSIGN_OR_RETURN(SplitPattern pattern, SplitPattern::regex(expression));
    steps.emplace_back(SplitStep{std::move(pattern)});
  }
  spec.pre_tokenizer = PreTokenizer(std::move(steps));
  if (nfc) spec.normalizer = Normalizer({UnicodeFormStep{UnicodeForm::kNfc}});
  return ok_status();
}

void add_special(const Family& family, TokenizerSpec& spec) {
  for (const Special& special : family.special) {
    const auto id = static_cast<size_t>(special.id);
    if (id >= spec.tokens.size()) spec.tokens.resize(id + 1);
    if (!spec.tokens[id].text.empty() && spec.tokens[id].text != special.text) continue;
    spec.tokens[id] = {std::string(special.text), TokenKind::kControl, false};
    AddedToken added;
    added.id = special.id;
    added.content = special.text;
    added.special = true;
    spec.added.push_back(std::move(added));
  }
  if (family.begins) {
    spec.bos = family.special[0].id;
    set_token(spec.single, FrameSide::kBefore, *spec.bos, true);
    set_token(spec.pair, FrameSide::kBefore, *spec.bos, true);
  }
}

// "IQ== 0"
std::optional<std::pair<std::string, size_t>> parse_rank(std::string_view line) {
  const size_t space = line.find(' ');
  if (space == std::string_view::npos || space == 0) return std::nullopt;
  auto bytes = decode_base64(line.substr(0, space));
  std::string_view number = line.substr(space + 1);
  while (number.ends_with('\r')) number.remove_suffix(1);
  size_t rank = 0;
  const auto parsed = std::from_chars(number.data(), number.data() + number.size(), rank);
  if (!bytes || bytes->empty() || parsed.ec != std::errc() || parsed.ptr != number.data() + number.size()) {
    return std::nullopt;
  }
  return std::pair(*std::move(bytes), rank);
}

// Calls take(line) for each line that is not empty, until one fails.
template <class Take>
Status for_each_line(std::string_view text, Take take) {
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    if (end > at) RETURN_IF_ERROR(take(text.substr(at, end - at)));
    at = end + 1;
  }
  return ok_status();
}

}  // namespace

bool looks_like_ranks(std::string_view bytes) {
  const std::string_view line = bytes.substr(0, bytes.substr(0, 1024).find('\n'));
  return line.size() < 1024 && parse_rank(line).has_value();
}

Result<TokenizerSpec> tokenizer_spec_from_ranks(std::string_view lines) {
  TokenizerSpec spec;
  size_t n_tokens = 0;
  const size_t most = lines.size();  // ranks are dense
  RETURN_IF_ERROR(for_each_line(lines, [&](std::string_view line) -> Status {
    auto entry = parse_rank(line);
    if (!entry || entry->second > most) {
      return invalid_argument("line " + std::to_string(n_tokens + 1) + ": expected a token in base64 and its rank");
    }
    const auto& [bytes, rank] = *entry;
    if (rank >= spec.tokens.size()) spec.tokens.resize(rank + 1);
    spec.tokens[rank].text = spell_bytes(bytes);
    ++n_tokens;
    return ok_status();
  }));
  const Family* family = family_of(n_tokens);
  if (family == nullptr) {
    return invalid_argument("a vocabulary of " + std::to_string(n_tokens) +
                            " tokens is not known (save the tokenizer as tokenizer.json)");
  }
  add_special(*family, spec);
  RETURN_IF_ERROR(cut_into_words(family->words, family->nfc, spec));
  BpeSpec bpe;
  bpe.byte_level = true;
  bpe.whole_words_first = true;
  for (size_t rank = 0; rank < spec.tokens.size(); ++rank) bpe.scores.push_back(-static_cast<float>(rank));
  spec.model = std::move(bpe);
  spec.decoder.token_steps = {ByteSpellingStep{}};
  spec.decoder.spell_added_tokens = true;
  return spec;
}

Result<TokenizerSpec> tokenizer_spec_from_merges(std::string_view vocabulary_json, std::string_view merges) {
  Json pairs = Json::array();
  RETURN_IF_ERROR(for_each_line(merges, [&](std::string_view line) -> Status {
    while (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.starts_with("#version") && !line.empty()) pairs.push_back(std::string(line));
    return ok_status();
  }));
  const std::string document = R"({"model": {"type": "BPE", "vocab": )" + std::string(vocabulary_json) +
                               R"(, "merges": )" + pairs.dump(-1, ' ', false, Json::error_handler_t::replace) +
                               R"(}, "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false},)"
                               R"( "decoder": {"type": "ByteLevel"}})";
  ASSIGN_OR_RETURN(TokenizerSpec spec, tokenizer_spec_from_json(document));
  if (const Family* family = family_of(spec.tokens.size())) {
    RETURN_IF_ERROR(cut_into_words(family->words, family->nfc, spec));
    add_special(*family, spec);
    std::get<BpeSpec>(spec.model).whole_words_first = family->begins;
  }
  return spec;
}

Result<TokenizerSpec> tokenizer_spec_from_word_pieces(std::string_view lines, std::string_view config) {
  const Json settings = Json::parse(config.empty() ? "{}" : config, nullptr, false);
  const auto flag = [&](const char* key, bool otherwise) {
    const auto found = settings.is_object() ? settings.find(key) : settings.end();
    return found != settings.end() && found->is_boolean() ? found->get<bool>() : otherwise;
  };
  Json vocabulary = Json::object();
  Json added = Json::array();
  TokenId id = 0;
  RETURN_IF_ERROR(for_each_line(lines, [&](std::string_view line) -> Status {
    while (line.ends_with('\r')) line.remove_suffix(1);
    vocabulary[std::string(line)] = id;
    for (const std::string_view special : {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}) {
      if (line == special) added.push_back({{"id", id}, {"content", std::string(line)}, {"special", true}});
    }
    ++id;
    return ok_status();
  }));
  const bool lowercase = flag("do_lower_case", true);
  Json document = {{"added_tokens", std::move(added)},
                   {"model", {{"type", "WordPiece"}, {"unk_token", "[UNK]"}, {"vocab", std::move(vocabulary)}}},
                   {"normalizer",
                    {{"type", "BertNormalizer"},
                     {"lowercase", lowercase},
                     {"strip_accents", flag("strip_accents", lowercase)},
                     {"handle_chinese_chars", flag("tokenize_chinese_chars", true)}}},
                   {"pre_tokenizer", {{"type", "BertPreTokenizer"}}},
                   {"decoder", {{"type", "WordPiece"}}}};
  const Json& words = document["model"]["vocab"];
  if (words.contains("[CLS]") && words.contains("[SEP]")) {
    document["post_processor"] = {
        {"type", "BertProcessing"}, {"cls", {"[CLS]", words["[CLS]"]}}, {"sep", {"[SEP]", words["[SEP]"]}}};
  }
  return tokenizer_spec_from_json(document.dump(-1, ' ', false, Json::error_handler_t::replace));
}

}  // namespace strata
