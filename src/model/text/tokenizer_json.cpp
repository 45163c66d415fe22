#include "model/text/tokenizer_json.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <unordered_set>
#include <utility>

#include "model/text/end_of_generation.h"
#include "model/text/json_node.h"
#include "model/text/token_map.h"
#include "model/text/tokenizer_json_steps.h"

namespace strata {
namespace {

class TokenizerJsonReader {
 public:
  TokenizerJsonReader() = default;

  // To add what tokenizer_config.json says to a tokenizer from other files.
  explicit TokenizerJsonReader(TokenizerSpec spec) : spec_(std::move(spec)), by_spelling_(spec_.tokens.size()) {
    for (const VocabularyToken& token : spec_.tokens) spellings_.push_back(token.text);
    for (size_t id = 0; id < spellings_.size(); ++id) {
      if (!spellings_[id].empty()) by_spelling_.insert(spellings_[id], static_cast<TokenId>(id));
    }
    for (const AddedToken& token : spec_.added) added_.insert(token.content);
    highest_id_ = spec_.tokens.size() + kReservedIds;
  }

  Status read(const JsonNode& root) {
    ASSIGN_OR_RETURN(const JsonNode model, root.require("model"));
    RETURN_IF_ERROR(read_model(model, spec_, by_spelling_));
    highest_id_ = spec_.tokens.size() + kReservedIds;
    if (const auto node = root.find("normalizer")) RETURN_IF_ERROR(read_normalizer(*node, spec_));
    if (const auto node = root.find("pre_tokenizer")) RETURN_IF_ERROR(read_pre_tokenizer(*node, spec_));
    if (const auto node = root.find("post_processor")) RETURN_IF_ERROR(read_post_processor(*node, spec_));
    spec_.decoder.token_steps.emplace_back(SpacesBetweenStep{});  // without a decoder, tokens are words
    if (const auto node = root.find("decoder")) RETURN_IF_ERROR(read_decoder(*node, spec_));
    settle_byte_spelling();
    if (const auto* bpe = std::get_if<BpeSpec>(&spec_.model)) {
      for (const MergeRule& merge : bpe->merges) merged_.insert({merge.left, merge.right, merge.result});
    }
    return read_added_tokens(root);
  }

  // tokenizer_config.json
  Status read_config(const JsonNode& config) {
    if (const auto tokens = config.find("added_tokens_decoder")) {
      ASSIGN_OR_RETURN(const simdjson::dom::object entries, tokens->object());
      for (const auto [key, value] : entries) {
        const JsonNode node(value, tokens->path() + "." + std::string(key));
        int64_t id = 0;
        const auto parsed = std::from_chars(key.data(), key.data() + key.size(), id);
        if (parsed.ec != std::errc() || parsed.ptr != key.data() + key.size()) return node.wrong("the key is no id");
        RETURN_IF_ERROR(add_token(node, id));
      }
    }
    ASSIGN_OR_RETURN(const auto bos, named_token(config, "bos_token"));
    ASSIGN_OR_RETURN(const auto eos, named_token(config, "eos_token"));
    if (bos) spec_.bos = bos;
    if (eos) spec_.eos = eos;
    RETURN_IF_ERROR(read_switch(config, "add_bos_token", spec_.bos, FrameSide::kBefore));
    return read_switch(config, "add_eos_token", spec_.eos, FrameSide::kAfter);
  }

  TokenizerSpec finish() {
    const std::vector<TokenId> before = tokens_before(spec_.single);
    const std::vector<TokenId> after = tokens_after(spec_.single);
    if (!spec_.bos && before.size() == 1) spec_.bos = before[0];
    if (!spec_.eos && after.size() == 1) spec_.eos = after[0];
    if (auto* unigram = std::get_if<UnigramSpec>(&spec_.model)) unigram->scores.resize(spec_.tokens.size());
    add_end_of_generation(spec_, false);
    return std::move(spec_);
  }

 private:
  // A BPE of bytes reads bytes as they are, so spelling them out is only done where a later step looks at the spelling.
  void settle_byte_spelling() {
    auto* bpe = std::get_if<BpeSpec>(&spec_.model);
    if (bpe == nullptr) return;
    std::vector<NormalizerStep> before = spec_.normalizer.steps();
    std::vector<PreTokenizerStep> steps = spec_.pre_tokenizer.steps();
    const auto spells = [](const auto& step) { return std::holds_alternative<SpellBytesStep>(step); };
    bpe->byte_level =
        std::any_of(before.begin(), before.end(), spells) || std::any_of(steps.begin(), steps.end(), spells);
    if (!bpe->byte_level) return;
    if (!steps.empty() && spells(steps.back())) {
      steps.pop_back();
    } else if (steps.empty() && spells(before.back())) {
      before.pop_back();
    } else {
      steps.emplace_back(UnspellBytesStep{});
    }
    spec_.normalizer = Normalizer(std::move(before));
    spec_.pre_tokenizer = PreTokenizer(std::move(steps));
  }

  Status check_id(const JsonNode& node, std::string_view spelling, int64_t id) const {
    if (id >= 0 && id <= static_cast<int64_t>(highest_id_)) return ok_status();
    return node.wrong("id " + std::to_string(id) + " of " + quoted_name(spelling) +
                      " is negative or far beyond the vocabulary");
  }

  Status read_added_tokens(const JsonNode& root) {
    const auto list = root.find("added_tokens");
    if (!list) return ok_status();
    ASSIGN_OR_RETURN(const auto nodes, list->array());
    for (const JsonNode& node : nodes) {
      ASSIGN_OR_RETURN(const JsonNode id_node, node.require("id"));
      ASSIGN_OR_RETURN(const int64_t id, id_node.integer());
      RETURN_IF_ERROR(add_token(node, id));
    }
    return ok_status();
  }

  Status add_token(const JsonNode& node, int64_t id) {
    AddedToken token;
    ASSIGN_OR_RETURN(const std::string_view content, node.require_string("content"));
    token.content = content;
    ASSIGN_OR_RETURN(token.special, node.get_bool("special", false));
    ASSIGN_OR_RETURN(token.left_strip, node.get_bool("lstrip", false));
    ASSIGN_OR_RETURN(token.right_strip, node.get_bool("rstrip", false));
    ASSIGN_OR_RETURN(token.single_word, node.get_bool("single_word", false));
    ASSIGN_OR_RETURN(token.normalized, node.get_bool("normalized", !token.special));
    if (content.empty()) return ok_status();
    const auto known = by_spelling_.find(content);
    if (known) id = *known;  // the vocabulary's id counts
    RETURN_IF_ERROR(check_id(node, content, id));
    if (static_cast<size_t>(id) >= spec_.tokens.size()) spec_.tokens.resize(id + 1);
    token.id = static_cast<TokenId>(id);
    if (!added_.insert(token.content).second) return ok_status();
    spec_.tokens[id].text = token.content;
    spec_.tokens[id].in_words = known && (!token.special || merged_.contains(*known));
    spec_.tokens[id].kind = token.special ? TokenKind::kControl : TokenKind::kUserDefined;
    spec_.added.push_back(std::move(token));
    return ok_status();
  }

  // "bos_token": "<s>" or {"content": "<s>", ...}
  Result<std::optional<TokenId>> named_token(const JsonNode& config, std::string_view key) const {
    const auto node = config.find(key);
    if (!node) return std::optional<TokenId>();
    ASSIGN_OR_RETURN(const std::string_view spelling,
                     node->element().is_object() ? node->require_string("content") : node->string());
    for (const AddedToken& token : spec_.added) {
      if (token.content == spelling) return std::optional<TokenId>(token.id);
    }
    return by_spelling_.find(spelling);
  }

  // "add_bos_token": true or false decides over what the post-processor says of that token.
  Status read_switch(const JsonNode& config, std::string_view key, std::optional<TokenId> token, FrameSide side) {
    const auto node = config.find(key);
    if (!node || !token) return ok_status();
    ASSIGN_OR_RETURN(const bool wanted, node->boolean());
    set_token(spec_.single, side, *token, wanted);
    set_token(spec_.pair, side, *token, wanted);
    return ok_status();
  }

  TokenizerSpec spec_;
  TokenMap by_spelling_;  // of the model's vocabulary; its spellings lie in the document, or in spellings_
  std::vector<std::string> spellings_;  // what by_spelling_ refers to where there is no document
  std::unordered_set<std::string> added_;
  std::unordered_set<TokenId> merged_;  // what merges are made of and lead to
  size_t highest_id_ = 0;
};

}  // namespace

Result<SplitPattern> read_split_pattern(const JsonNode& node) {
  if (const auto text = node.find("String")) {
    ASSIGN_OR_RETURN(const std::string_view literal, text->string());
    return SplitPattern::literal(std::string(literal));
  }
  ASSIGN_OR_RETURN(const JsonNode regex, node.require("Regex"));
  ASSIGN_OR_RETURN(const std::string_view expression, regex.string());
  auto pattern = SplitPattern::regex(expression);
  if (!pattern.ok()) return regex.wrong(pattern.status().message());
  return pattern;
}

namespace {

Status read_config(std::string_view text, TokenizerJsonReader& reader) {
  if (text.empty()) return ok_status();
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  const auto error = parser.parse(text.data(), text.size()).get(root);
  const Status status = error ? invalid_argument(std::string("not JSON: ") + simdjson::error_message(error))
                              : reader.read_config(JsonNode(root, ""));
  return status.ok() ? status : status.with_context("tokenizer_config.json");
}

}  // namespace

Result<TokenizerSpec> tokenizer_spec_from_json(std::string_view tokenizer_json, std::string_view tokenizer_config) {
  simdjson::dom::parser parser;  // keeps the strings of the document
  TokenizerJsonReader reader;
  const auto read = [&](std::string_view text) -> Status {
    simdjson::dom::element root;
    const auto error = parser.parse(text.data(), text.size()).get(root);
    if (error) return invalid_argument(std::string("not JSON: ") + simdjson::error_message(error));
    return reader.read(JsonNode(root, ""));
  };
  if (const Status status = read(tokenizer_json); !status.ok()) return status.with_context("tokenizer.json");
  if (const Status status = read_config(tokenizer_config, reader); !status.ok()) return status;
  return reader.finish();
}

Result<TokenizerSpec> with_tokenizer_config(TokenizerSpec spec, std::string_view tokenizer_config) {
  TokenizerJsonReader reader(std::move(spec));
  RETURN_IF_ERROR(read_config(tokenizer_config, reader));
  return reader.finish();
}

}  // namespace strata
