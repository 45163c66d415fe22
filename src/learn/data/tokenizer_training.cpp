#include "learn/data/tokenizer_training.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "model/text/byte_alphabet.h"

namespace strata {
namespace {

using nlohmann::ordered_json;

// The words of GPT-2, as published with it.
constexpr const char* kBpeWords = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
// A word with the space before it, and runs of white space.
constexpr const char* kUnigramWords = R"( ?[^\s]+|\s+)";
constexpr const char* kMetaspace = "\xE2\x96\x81";  // U+2581

ordered_json added_tokens(const std::vector<std::string>& special) {
  ordered_json list = ordered_json::array();
  for (size_t id = 0; id < special.size(); ++id) {
    list.push_back({{"id", id},
                    {"content", special[id]},
                    {"single_word", false},
                    {"lstrip", false},
                    {"rstrip", false},
                    {"normalized", false},
                    {"special", true}});
  }
  return list;
}

ordered_json file_of(const std::vector<std::string>& special, ordered_json pre_tokenizer, ordered_json decoder,
                     ordered_json model) {
  return {{"version", "1.0"},          {"truncation", nullptr},
          {"padding", nullptr},        {"added_tokens", added_tokens(special)},
          {"normalizer", nullptr},     {"pre_tokenizer", std::move(pre_tokenizer)},
          {"post_processor", nullptr}, {"decoder", std::move(decoder)},
          {"model", std::move(model)}};
}

// Puts the begin token, id 1, before a text.
ordered_json begin_processor(const std::string& token) {
  const ordered_json special{{"SpecialToken", {{"id", token}, {"type_id", 0}}}};
  const ordered_json first{{"Sequence", {{"id", "A"}, {"type_id", 0}}}},
      second{{"Sequence", {{"id", "B"}, {"type_id", 0}}}};
  return {{"type", "TemplateProcessing"},
          {"single", ordered_json::array({special, first})},
          {"pair", ordered_json::array({special, first, special, second})},
          {"special_tokens", {{token, {{"id", token}, {"ids", {1}}, {"tokens", {token}}}}}}};
}

Status too_few(size_t made, size_t wanted) {
  return invalid_argument("the corpus gives a vocabulary of " + std::to_string(made) + " tokens, not " +
                          std::to_string(wanted) + " (give more text, or a smaller tokenizer.vocab)");
}

Result<ordered_json> train_bpe(const WordCounts& words, const std::vector<std::string>& special, size_t vocab,
                               const OnShareDone& on_progress) {
  const auto merges = train_merges(words, vocab - special.size() - 256, on_progress);
  ordered_json tokens = ordered_json::object(), rules = ordered_json::array();
  for (const std::string& token : special) tokens[token] = tokens.size();
  for (int byte = 0; byte < 256; ++byte) {
    const size_t id = tokens.size();
    tokens[spell_bytes(std::string(1, static_cast<char>(byte)))] = id;
  }
  std::set<std::string> known;
  for (const auto& [left, right] : merges) {
    const std::string text = spell_bytes(left + right);
    const size_t id = tokens.size();
    if (known.insert(text).second) tokens[text] = id;
    rules.push_back({spell_bytes(left), spell_bytes(right)});
  }
  if (tokens.size() < vocab) return too_few(tokens.size(), vocab);
  const ordered_json bytes{
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}};
  ordered_json model{{"type", "BPE"},
                     {"dropout", nullptr},
                     {"unk_token", nullptr},
                     {"continuing_subword_prefix", nullptr},
                     {"end_of_word_suffix", nullptr},
                     {"fuse_unk", false},
                     {"byte_fallback", false},
                     {"ignore_merges", false},
                     {"vocab", std::move(tokens)},
                     {"merges", std::move(rules)}};
  return file_of(special, bytes, bytes, std::move(model));
}

std::string with_metaspace(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == ' ') {
      out += kMetaspace;
    } else {
      out += c;
    }
  }
  return out;
}

Result<ordered_json> train_unigram(WordCounts words, const std::vector<std::string>& special, size_t vocab,
                                   ThreadPool& pool, const OnShareDone& on_progress) {
  for (auto& word : words) word.first = with_metaspace(word.first);
  // Special tokens, one for what is unknown (bytes make it never used), the bytes, then the pieces.
  const size_t before = special.size() + 1 + 256;
  const auto pieces = train_pieces(words, vocab - before, pool, on_progress);
  if (pieces.size() + before < vocab) return too_few(pieces.size() + before, vocab);
  ordered_json list = ordered_json::array();
  for (const std::string& token : special) list.push_back({token, 0.0});
  list.push_back({"<unk>", 0.0});
  for (int byte = 0; byte < 256; ++byte) {
    char text[8];
    std::snprintf(text, sizeof text, "<0x%02X>", byte);
    list.push_back({text, 0.0});
  }
  for (size_t i = 0; i < vocab - before; ++i) list.push_back({pieces[i].first, pieces[i].second});
  ordered_json model{
      {"type", "Unigram"}, {"unk_id", special.size()}, {"vocab", std::move(list)}, {"byte_fallback", true}};
  const ordered_json space{
      {"type", "Metaspace"}, {"replacement", kMetaspace}, {"prepend_scheme", "never"}, {"split", true}};
  const ordered_json decoder{
      {"type", "Sequence"},
      {"decoders",
       ordered_json::array({ordered_json{{"type", "Replace"}, {"pattern", {{"String", kMetaspace}}}, {"content", " "}},
                            ordered_json{{"type", "ByteFallback"}}, ordered_json{{"type", "Fuse"}}})}};
  return file_of(special, space, decoder, std::move(model));
}

// Special tokens have ids and texts of their own.
Status check_special(const std::vector<std::string>& special) {
  std::set<std::string> known;
  for (int byte = 0; byte < 256; ++byte) known.insert(spell_bytes(std::string(1, static_cast<char>(byte))));
  for (const std::string& token : special) {
    if (token.empty()) return invalid_argument("tokenizer: a special token is empty");
    if (!known.insert(token).second)
      return invalid_argument("tokenizer: the special token \"" + token +
                              "\" is another token already (give each once)");
  }
  return ok_status();
}

}  // namespace

Result<TrainedTokenizer> train_tokenizer(const Corpus& corpus, const TokenizerTraining& options, ThreadPool& pool,
                                         const OnShareDone& on_progress) {
  std::vector<std::string> special{options.end_token};
  if (!options.begin_token.empty()) special.push_back(options.begin_token);
  special.insert(special.end(), options.special_tokens.begin(), options.special_tokens.end());
  RETURN_IF_ERROR(check_special(special));
  const bool is_bpe = options.kind == TokenizerKind::kBpe;
  const size_t least = special.size() + 257 + (is_bpe ? 0 : 1);
  const auto vocab = static_cast<size_t>(std::max<int64_t>(options.vocab, 0));
  if (vocab < least) {
    return invalid_argument("tokenizer: a vocabulary of " + std::to_string(options.vocab) +
                            " tokens is too small (give at least " + std::to_string(least) + ")");
  }
  ASSIGN_OR_RETURN(const SplitPattern pattern, SplitPattern::regex(is_bpe ? kBpeWords : kUnigramWords));
  constexpr double kCounting = 0.3;  // of the time, more or less
  const auto part = [&](double begin, double length) {
    return [&on_progress, begin, length](double share) {
      if (on_progress) on_progress(begin + length * share);
    };
  };
  ASSIGN_OR_RETURN(WordCounts words, count_words(corpus, pattern, pool, {}, part(0, kCounting)));
  const OnShareDone learning = part(kCounting, 1 - kCounting);
  Result<ordered_json> file =
      is_bpe ? train_bpe(words, special, vocab, learning)
             : train_unigram(std::move(words), special, vocab, pool, learning);
  if (!file.ok()) return file.status();
  ordered_json config{{"tokenizer_class", "PreTrainedTokenizerFast"},
                      {"eos_token", options.end_token},
                      {"clean_up_tokenization_spaces", false}};
  if (!options.begin_token.empty()) {
    (*file)["post_processor"] = begin_processor(options.begin_token);
    config["bos_token"] = options.begin_token;
  }
  return TrainedTokenizer{file->dump(1) + "\n", config.dump(1) + "\n"};
}

}  // namespace strata
