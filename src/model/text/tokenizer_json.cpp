#include "model/text/tokenizer_json.h"

#include <algorithm>
#include <charconv>
#include <string>
#include <unordered_set>
#include <utility>

#include "model/text/byte_alphabet.h"
#include "model/text/end_of_generation.h"
#include "model/text/json_node.h"
#include "model/text/token_map.h"
#include "model/text/tokenizer_json_steps.h"

namespace strata {
namespace {

// Ids are dense but for some reserved ones: the table of tokens is as long as the highest id.
constexpr size_t kReservedIds = 65536;

class TokenizerJsonReader {
 public:
  Status read(const JsonNode& root) {
    ASSIGN_OR_RETURN(const JsonNode model, root.require("model"));
    RETURN_IF_ERROR(read_model(model));
    if (const auto node = root.find("normalizer")) RETURN_IF_ERROR(read_normalizer(*node, spec_));
    if (const auto node = root.find("pre_tokenizer")) RETURN_IF_ERROR(read_pre_tokenizer(*node, spec_));
    if (const auto node = root.find("post_processor")) RETURN_IF_ERROR(read_post_processor(*node, spec_));
    if (const auto node = root.find("decoder")) RETURN_IF_ERROR(read_decoder(*node, spec_));
    mark_byte_tokens();
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
    ASSIGN_OR_RETURN(spec_.bos, named_token(config, "bos_token"));
    ASSIGN_OR_RETURN(spec_.eos, named_token(config, "eos_token"));
    RETURN_IF_ERROR(read_switch(config, "add_bos_token", spec_.bos, spec_.prefix));
    return read_switch(config, "add_eos_token", spec_.eos, spec_.suffix);
  }

  TokenizerSpec finish() {
    if (!spec_.bos && spec_.prefix.size() == 1) spec_.bos = spec_.prefix[0];
    if (!spec_.eos && spec_.suffix.size() == 1) spec_.eos = spec_.suffix[0];
    add_end_of_generation(spec_, false);
    return std::move(spec_);
  }

 private:
  Status read_model(const JsonNode& model) {
    ASSIGN_OR_RETURN(const std::string_view type, model.get_string("type", "BPE"));
    if (type != "BPE") {
      return model.wrong("model type " + quoted_name(type) + " is not supported (known: BPE)");
    }
    RETURN_IF_ERROR(read_vocabulary(model));
    RETURN_IF_ERROR(read_merges(model));
    ASSIGN_OR_RETURN(spec_.model.byte_fallback, model.get_bool("byte_fallback", false));
    ASSIGN_OR_RETURN(spec_.model.fuse_unknown, model.get_bool("fuse_unk", false));
    ASSIGN_OR_RETURN(spec_.model.whole_words_first, model.get_bool("ignore_merges", false));
    for (const std::string_view key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
      ASSIGN_OR_RETURN(const std::string_view affix, model.get_string(key, ""));
      if (!affix.empty()) return model.wrong(std::string(key) + " is not supported");
    }
    if (const auto unknown = model.find("unk_token")) {
      ASSIGN_OR_RETURN(const std::string_view spelling, unknown->string());
      spec_.model.unknown = by_spelling_.find(spelling);
    }
    return ok_status();
  }

  Status read_vocabulary(const JsonNode& model) {
    ASSIGN_OR_RETURN(const JsonNode vocabulary, model.require("vocab"));
    ASSIGN_OR_RETURN(const simdjson::dom::object entries, vocabulary.object());
    size_t count = 0;
    for ([[maybe_unused]] const auto entry : entries) ++count;
    if (count == 0) return vocabulary.wrong("empty");
    highest_id_ = 2 * count + kReservedIds;
    for (const auto [spelling, value] : entries) {
      int64_t id = 0;
      if (value.get(id) != simdjson::SUCCESS)
        return vocabulary.wrong("the id of " + quoted_name(spelling) + " is no integer");
      RETURN_IF_ERROR(check_id(vocabulary, spelling, id));
      if (static_cast<size_t>(id) >= spec_.tokens.size()) spec_.tokens.resize(id + 1);
      if (!spec_.tokens[id].text.empty()) {
        return vocabulary.wrong("id " + std::to_string(id) + " is given twice, to " +
                                quoted_name(spec_.tokens[id].text) + " and " + quoted_name(spelling));
      }
      spec_.tokens[id].text = spelling;
    }
    by_spelling_ = TokenMap(count);
    for (const auto [spelling, value] : entries) {
      int64_t id = 0;
      if (value.get(id) == simdjson::SUCCESS) by_spelling_.insert(spelling, static_cast<TokenId>(id));
    }
    return ok_status();
  }

  Status check_id(const JsonNode& node, std::string_view spelling, int64_t id) const {
    if (id >= 0 && id <= static_cast<int64_t>(highest_id_)) return ok_status();
    return node.wrong("id " + std::to_string(id) + " of " + quoted_name(spelling) +
                      " is negative or far beyond the vocabulary");
  }

  Status read_merges(const JsonNode& model) {
    ASSIGN_OR_RETURN(const JsonNode list, model.require("merges"));
    simdjson::dom::array elements;
    if (list.element().get(elements) != simdjson::SUCCESS) return list.wrong("expected a list");
    std::string joined;
    for (const simdjson::dom::element element : elements) {
      std::string_view left;
      std::string_view right;
      const auto wrong = [&](std::string_view why) {
        const size_t index = spec_.model.merges.size();
        return JsonNode(element, list.path() + "[" + std::to_string(index) + "]").wrong(why);
      };
      if (!split_merge(element, left, right)) return wrong("expected two spellings, as \"a b\" or [\"a\", \"b\"]");
      joined.assign(left).append(right);
      MergeRule rule;
      for (const auto& [spelling, id] : {std::pair{left, &rule.left}, std::pair{right, &rule.right},
                                         std::pair{std::string_view(joined), &rule.result}}) {
        const auto known = by_spelling_.find(spelling);
        if (!known) return wrong("the token " + quoted_name(spelling) + " is not in the vocabulary");
        *id = *known;
      }
      spec_.model.merges.push_back(rule);
    }
    return ok_status();
  }

  static bool split_merge(simdjson::dom::element element, std::string_view& left, std::string_view& right) {
    std::string_view line;
    if (element.get(line) == simdjson::SUCCESS) {
      const size_t space = line.find(' ');
      if (space == std::string_view::npos) return false;
      left = line.substr(0, space);
      right = line.substr(space + 1);
      return true;
    }
    simdjson::dom::array pair;
    return element.get(pair) == simdjson::SUCCESS && pair.size() == 2 && pair.at(0).get(left) == simdjson::SUCCESS &&
           pair.at(1).get(right) == simdjson::SUCCESS;
  }

  void mark_byte_tokens() {
    if (!spec_.model.byte_fallback && !spec_.decoder.byte_tokens) return;
    for (VocabularyToken& token : spec_.tokens) {
      if (byte_token_value(token.text)) token.kind = TokenKind::kByte;
    }
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
    if (const auto known = by_spelling_.find(content)) id = *known;  // the vocabulary's id counts
    RETURN_IF_ERROR(check_id(node, content, id));
    if (static_cast<size_t>(id) >= spec_.tokens.size()) spec_.tokens.resize(id + 1);
    token.id = static_cast<TokenId>(id);
    if (!added_.insert(token.content).second) return ok_status();
    spec_.tokens[id].text = token.content;
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
  static Status read_switch(const JsonNode& config, std::string_view key, std::optional<TokenId> token,
                            std::vector<TokenId>& around) {
    const auto node = config.find(key);
    if (!node || !token) return ok_status();
    ASSIGN_OR_RETURN(const bool wanted, node->boolean());
    const auto place = std::find(around.begin(), around.end(), *token);
    if (wanted && place == around.end()) around.insert(around.begin(), *token);
    if (!wanted && place != around.end()) around.erase(place);
    return ok_status();
  }

  TokenizerSpec spec_;
  TokenMap by_spelling_;  // of the model's vocabulary; its spellings lie in the document
  std::unordered_set<std::string> added_;
  size_t highest_id_ = 0;
};

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
  if (!tokenizer_config.empty()) {
    simdjson::dom::parser config_parser;
    simdjson::dom::element root;
    const auto error = config_parser.parse(tokenizer_config.data(), tokenizer_config.size()).get(root);
    const Status status = error ? invalid_argument(std::string("not JSON: ") + simdjson::error_message(error))
                                : reader.read_config(JsonNode(root, ""));
    if (!status.ok()) return status.with_context("tokenizer_config.json");
  }
  return reader.finish();
}

}  // namespace strata
