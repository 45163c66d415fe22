#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <utility>

#include "model/text/byte_alphabet.h"
#include "model/text/tokenizer_json_steps.h"

namespace strata {
namespace {

// The number that Hugging Face's library reads where a file says `value` in as few digits as tell it from others: its
// digits as one number, divided by a power of ten, each rounded. Ties between ways to cut a word hang on the last bit.
double as_published_reader(double value) {
  std::array<char, 40> text{};
  const auto written = std::to_chars(text.data(), text.data() + text.size(), value, std::chars_format::scientific);
  const std::string_view number(text.data(), static_cast<size_t>(written.ptr - text.data()));
  const size_t e = number.find('e');
  if (written.ec != std::errc() || e == std::string_view::npos) return value;
  uint64_t digits = 0;
  int exponent = 0;
  for (const char c : number.substr(0, e)) {
    if (c >= '0' && c <= '9') digits = digits * 10 + static_cast<uint64_t>(c - '0');
  }
  const size_t point = number.find('.');
  if (point < e) exponent -= static_cast<int>(e - point - 1);
  int written_exponent = 0;
  const size_t sign = number[e + 1] == '+' ? 1 : 0;
  std::from_chars(number.data() + e + 1 + sign, number.data() + number.size(), written_exponent);
  exponent += written_exponent;
  if (exponent < -22 || exponent > 0) return value;  // powers of ten that are exact
  double power = 1.0;
  for (int i = exponent; i < 0; ++i) power *= 10.0;
  const double read = static_cast<double>(digits) / power;
  return value < 0 ? -read : read;
}

class ModelReader {
 public:
  ModelReader(TokenizerSpec& spec, TokenMap& by_spelling) : spec_(spec), by_spelling_(by_spelling) {}

  Status read(const JsonNode& model) {
    ASSIGN_OR_RETURN(const std::string_view type, model.get_string("type", guess_type(model)));
    if (type == "BPE") return read_bpe(model);
    if (type == "WordPiece") return read_word_piece(model);
    if (type == "WordLevel") return read_word_level(model);
    if (type == "Unigram") return read_unigram(model);
    return model.wrong("model type " + quoted_name(type) +
                       " is not supported (known: BPE, WordPiece, WordLevel, Unigram)");
  }

 private:
  // Old files name no type.
  static std::string_view guess_type(const JsonNode& model) {
    if (const auto vocabulary = model.find("vocab"); vocabulary && vocabulary->element().is_array()) return "Unigram";
    return !model.find("merges") && model.find("continuing_subword_prefix") ? "WordPiece" : "BPE";
  }

  Status read_bpe(const JsonNode& model) {
    BpeSpec bpe;
    RETURN_IF_ERROR(read_vocabulary(model));
    ASSIGN_OR_RETURN(const std::string_view prefix, model.get_string("continuing_subword_prefix", ""));
    bpe.next_prefix = prefix;
    RETURN_IF_ERROR(read_merges(model, bpe));
    ASSIGN_OR_RETURN(bpe.byte_fallback, model.get_bool("byte_fallback", false));
    ASSIGN_OR_RETURN(bpe.fuse_unknown, model.get_bool("fuse_unk", false));
    ASSIGN_OR_RETURN(bpe.whole_words_first, model.get_bool("ignore_merges", false));
    ASSIGN_OR_RETURN(const std::string_view suffix, model.get_string("end_of_word_suffix", ""));
    bpe.last_suffix = suffix;
    ASSIGN_OR_RETURN(bpe.unknown, read_unknown(model, ""));
    bpe.drop_unknown = !bpe.unknown;
    spec_.model = std::move(bpe);
    return ok_status();
  }

  Status read_word_piece(const JsonNode& model) {
    WordPieceSpec pieces;
    RETURN_IF_ERROR(read_vocabulary(model));
    ASSIGN_OR_RETURN(const std::string_view prefix, model.get_string("continuing_subword_prefix", "##"));
    pieces.next_prefix = prefix;
    const auto most = model.find("max_input_chars_per_word");
    ASSIGN_OR_RETURN(const int64_t characters, most ? most->integer() : Result<int64_t>(int64_t{100}));
    if (characters < 0) return most->wrong("expected a number of characters");
    pieces.most_characters = static_cast<size_t>(characters);
    ASSIGN_OR_RETURN(pieces.unknown, read_unknown(model, "[UNK]"));
    spec_.model = std::move(pieces);
    return ok_status();
  }

  Status read_word_level(const JsonNode& model) {
    RETURN_IF_ERROR(read_vocabulary(model));
    WordLevelSpec words;
    ASSIGN_OR_RETURN(words.unknown, read_unknown(model, "<unk>"));
    spec_.model = words;
    return ok_status();
  }

  // "vocab": [[spelling, score], ...] in the order of the ids
  Status read_unigram(const JsonNode& model) {
    constexpr double kUnknownPenalty = 10.0;
    ASSIGN_OR_RETURN(const JsonNode vocabulary, model.require("vocab"));
    ASSIGN_OR_RETURN(const auto entries, vocabulary.array());
    if (entries.empty()) return vocabulary.wrong("empty");
    UnigramSpec unigram;
    by_spelling_ = TokenMap(entries.size());
    for (const JsonNode& entry : entries) {
      simdjson::dom::array pair;
      std::string_view spelling;
      double score = 0.0;
      if (entry.element().get(pair) != simdjson::SUCCESS || pair.size() != 2 ||
          pair.at(0).get(spelling) != simdjson::SUCCESS || pair.at(1).get(score) != simdjson::SUCCESS) {
        return entry.wrong("expected a spelling and a score");
      }
      by_spelling_.insert(spelling, static_cast<TokenId>(spec_.tokens.size()));
      spec_.tokens.push_back({std::string(spelling), TokenKind::kNormal});
      unigram.scores.push_back(as_published_reader(score));
    }
    unigram.unknown_score = *std::min_element(unigram.scores.begin(), unigram.scores.end()) - kUnknownPenalty;
    ASSIGN_OR_RETURN(unigram.byte_fallback, model.get_bool("byte_fallback", false));
    if (const auto node = model.find("unk_id")) {
      ASSIGN_OR_RETURN(const int64_t id, node->integer());
      if (id < 0 || static_cast<size_t>(id) >= spec_.tokens.size()) return node->wrong("outside the vocabulary");
      unigram.unknown = static_cast<TokenId>(id);
    }
    spec_.model = std::move(unigram);
    return ok_status();
  }

  Result<std::optional<TokenId>> read_unknown(const JsonNode& model, std::string_view otherwise) const {
    ASSIGN_OR_RETURN(const std::string_view spelling, model.get_string("unk_token", otherwise));
    return by_spelling_.find(spelling);
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

  Status read_merges(const JsonNode& model, BpeSpec& bpe) const {
    ASSIGN_OR_RETURN(const JsonNode list, model.require("merges"));
    simdjson::dom::array elements;
    if (list.element().get(elements) != simdjson::SUCCESS) return list.wrong("expected a list");
    std::string joined;
    for (const simdjson::dom::element element : elements) {
      std::string_view left;
      std::string_view right;
      const auto wrong = [&](std::string_view why) {
        const size_t index = bpe.merges.size();
        return JsonNode(element, list.path() + "[" + std::to_string(index) + "]").wrong(why);
      };
      if (!split_merge(element, left, right)) return wrong("expected two spellings, as \"a b\" or [\"a\", \"b\"]");
      // What goes on a word loses the mark of it.
      joined.assign(left).append(right.substr(right.starts_with(bpe.next_prefix) ? bpe.next_prefix.size() : 0));
      MergeRule rule;
      for (const auto& [spelling, id] : {std::pair{left, &rule.left}, std::pair{right, &rule.right},
                                         std::pair{std::string_view(joined), &rule.result}}) {
        const auto known = by_spelling_.find(spelling);
        if (!known) return wrong("the token " + quoted_name(spelling) + " is not in the vocabulary");
        *id = *known;
      }
      bpe.merges.push_back(rule);
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

  TokenizerSpec& spec_;
  TokenMap& by_spelling_;
  size_t highest_id_ = 0;
};

}  // namespace

Status read_model(const JsonNode& node, TokenizerSpec& spec, TokenMap& by_spelling) {
  return ModelReader(spec, by_spelling).read(node);
}

}  // namespace strata
