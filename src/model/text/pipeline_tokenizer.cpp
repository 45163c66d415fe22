#include "model/text/pipeline_tokenizer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "model/text/added_token_finder.h"
#include "model/text/bpe_model.h"
#include "model/text/byte_alphabet.h"
#include "model/text/token_map.h"
#include "model/text/utf8.h"

namespace strata {
namespace {

constexpr size_t kLongestStretch = size_t{1} << 30;  // the model counts the bytes of a word in 32 bits
constexpr size_t kLongestScoredToken = 1024;         // bytes; all ways to join it are listed

// What a token stands for inside words, as the model sees them.
std::string word_text(const VocabularyToken& token, bool byte_level) {
  if (token.kind == TokenKind::kControl || token.kind == TokenKind::kUnknown || token.kind == TokenKind::kByte)
    return {};
  if (!byte_level) return token.text;
  return unspell_bytes(token.text).value_or(token.text);
}

// What a token adds to a decoded text.
std::string decoded_text(const VocabularyToken& token, const DecoderSpec& decoder, const Normalizer& replacements) {
  if (token.kind == TokenKind::kControl || token.kind == TokenKind::kUnknown) return token.text;
  if (decoder.byte_tokens && token.kind == TokenKind::kByte) {
    if (const auto byte = byte_token_value(token.text)) return std::string(1, static_cast<char>(*byte));
  }
  std::string text = replacements.apply(token.text);
  if (!decoder.byte_level || token.kind == TokenKind::kUserDefined) return text;
  return unspell_bytes(text).value_or(text);
}

std::vector<std::string> word_texts(const TokenizerSpec& spec) {
  std::vector<std::string> texts;
  texts.reserve(spec.tokens.size());
  for (const VocabularyToken& token : spec.tokens) texts.push_back(word_text(token, spec.model.byte_level));
  return texts;
}

std::array<TokenId, 256> byte_tokens(const TokenizerSpec& spec) {
  std::array<TokenId, 256> ids;
  ids.fill(-1);
  if (!spec.model.byte_fallback) return ids;
  for (size_t id = 0; id < spec.tokens.size(); ++id) {
    if (spec.tokens[id].kind != TokenKind::kByte) continue;
    const auto byte = byte_token_value(spec.tokens[id].text);
    if (byte && ids[*byte] < 0) ids[*byte] = static_cast<TokenId>(id);
  }
  return ids;
}

std::vector<AddedToken> added_tokens(const TokenizerSpec& spec, bool normalized) {
  std::vector<AddedToken> chosen;
  for (const AddedToken& token : spec.added) {
    if (token.normalized != normalized) continue;
    chosen.push_back(token);
    if (normalized) chosen.back().content = spec.normalizer.apply(token.content);
  }
  return chosen;
}

class PipelineTokenizer final : public Tokenizer {
 public:
  explicit PipelineTokenizer(TokenizerSpec spec)
      : spec_(std::move(spec)),
        texts_(word_texts(spec_)),
        model_(spec_.model, texts_, byte_tokens(spec_)),
        by_spelling_(spec_.tokens.size()),
        raw_finder_(added_tokens(spec_, false)),
        normalized_finder_(added_tokens(spec_, true)) {
    spec_.model = {};  // the model has its own form of it
    const Normalizer replacements({spec_.decoder.replace.begin(), spec_.decoder.replace.end()});
    piece_ends_.reserve(spec_.tokens.size());
    for (size_t id = 0; id < spec_.tokens.size(); ++id) {
      const VocabularyToken& token = spec_.tokens[id];
      if (!token.text.empty()) by_spelling_.insert(token.text, static_cast<TokenId>(id));
      pieces_ += decoded_text(token, spec_.decoder, replacements);
      piece_ends_.push_back(pieces_.size());
    }
  }

  std::vector<TokenId> encode(std::string_view text, const EncodeOptions& options) const override {
    std::vector<TokenId> ids;
    ids.reserve(text.size() / 4 + 4);
    if (options.add_special) ids.insert(ids.end(), spec_.prefix.begin(), spec_.prefix.end());
    size_t at = 0;
    for (const AddedTokenFinder::Found& found : raw_finder_.find_all(text, options.parse_special)) {
      encode_raw(text, {at, found.span.begin}, options, ids);
      ids.push_back(found.id);
      at = found.span.end;
    }
    encode_raw(text, {at, text.size()}, options, ids);
    if (options.add_special) ids.insert(ids.end(), spec_.suffix.begin(), spec_.suffix.end());
    return ids;
  }

  std::string_view piece(TokenId id, bool special) const override {
    if (id < 0 || id >= vocab_size() || (!special && is_special(id))) return {};
    const size_t begin = id == 0 ? 0 : piece_ends_[id - 1];
    return std::string_view(pieces_).substr(begin, piece_ends_[id] - begin);
  }

  std::string decode(const std::vector<TokenId>& ids, bool special) const override {
    std::string bytes;
    for (const TokenId id : ids) bytes += piece(id, special);
    const bool drop = spec_.decoder.strip_leading_space && bytes.starts_with(' ');
    std::string text;
    text.reserve(bytes.size());
    append_well_formed(text, std::string_view(bytes).substr(drop ? 1 : 0));
    return text;
  }

  int vocab_size() const override { return static_cast<int>(spec_.tokens.size()); }

  bool is_special(TokenId id) const override {
    if (id < 0 || id >= vocab_size()) return false;
    const TokenKind kind = spec_.tokens[id].kind;
    return kind == TokenKind::kControl || kind == TokenKind::kUnknown;
  }

  std::optional<TokenId> find(std::string_view token) const override { return by_spelling_.find(token); }
  std::optional<TokenId> bos() const override { return spec_.bos; }
  std::optional<TokenId> eos() const override { return spec_.eos; }
  std::vector<TokenId> end_of_generation() const override { return spec_.end_of_generation; }
  bool strips_leading_space() const override { return spec_.decoder.strip_leading_space; }

 private:
  // The text between two added tokens: normalized, then the added tokens that are looked for after normalizing.
  void encode_raw(std::string_view text, Span part, const EncodeOptions& options, std::vector<TokenId>& ids) const {
    const bool at_start = part.begin == 0;
    std::string_view stretch = text.substr(part.begin, part.size());
    std::string normalized;
    if (!spec_.normalizer.empty()) {
      normalized = spec_.normalizer.apply(stretch);
      stretch = normalized;
    }
    size_t at = 0;
    for (const AddedTokenFinder::Found& found : normalized_finder_.find_all(stretch, options.parse_special)) {
      encode_words(stretch.substr(at, found.span.begin - at), at_start && at == 0, ids);
      ids.push_back(found.id);
      at = found.span.end;
    }
    encode_words(stretch.substr(at), at_start && at == 0, ids);
  }

  void encode_words(std::string_view text, bool at_start, std::vector<TokenId>& ids) const {
    for (size_t at = 0; at < text.size(); at += kLongestStretch) {
      WordList list;
      spec_.pre_tokenizer.cut(text.substr(at, kLongestStretch), at_start && at == 0, list);
      model_.encode(list.text, list.words, ids);
    }
  }

  TokenizerSpec spec_;
  std::vector<std::string> texts_;
  BpeModel model_;
  TokenMap by_spelling_;
  AddedTokenFinder raw_finder_;
  AddedTokenFinder normalized_finder_;
  std::string pieces_;  // the decoded texts of all tokens, one after the other
  std::vector<size_t> piece_ends_;
};

Status check_ids(const TokenizerSpec& spec) {
  const auto in_vocabulary = [&](TokenId id) { return id >= 0 && static_cast<size_t>(id) < spec.tokens.size(); };
  for (const AddedToken& token : spec.added) {
    if (!in_vocabulary(token.id)) {
      return invalid_argument("added token id " + std::to_string(token.id) + " is outside the vocabulary");
    }
  }
  const std::vector<std::pair<const char*, const std::vector<TokenId>*>> lists = {
      {"prefix", &spec.prefix}, {"suffix", &spec.suffix}, {"end of generation", &spec.end_of_generation}};
  for (const auto& [name, ids] : lists) {
    for (const TokenId id : *ids) {
      if (!in_vocabulary(id)) {
        return invalid_argument(std::string(name) + " token id " + std::to_string(id) + " is outside the vocabulary");
      }
    }
  }
  for (const MergeRule& merge : spec.model.merges) {
    if (!in_vocabulary(merge.left) || !in_vocabulary(merge.right) || !in_vocabulary(merge.result)) {
      return invalid_argument("a merge names a token outside the vocabulary", "merges");
    }
  }
  for (const auto& id : {spec.bos, spec.eos}) {
    if (id && !in_vocabulary(*id))
      return invalid_argument("token id " + std::to_string(*id) + " is outside the vocabulary");
  }
  if (spec.model.unknown && !in_vocabulary(*spec.model.unknown)) {
    return invalid_argument("unknown token id " + std::to_string(*spec.model.unknown) + " is outside the vocabulary");
  }
  return ok_status();
}

Status check_scores(const TokenizerSpec& spec) {
  const std::vector<float>& scores = spec.model.scores;
  if (scores.empty()) return ok_status();
  if (scores.size() != spec.tokens.size()) {
    return invalid_argument(
        std::to_string(scores.size()) + " scores for " + std::to_string(spec.tokens.size()) + " tokens", "scores");
  }
  for (size_t id = 0; id < scores.size(); ++id) {
    if (scores[id] != scores[id])
      return invalid_argument("the score of token " + std::to_string(id) + " is no number", "scores");
    if (spec.tokens[id].text.size() > kLongestScoredToken) {
      return invalid_argument(
          "token " + std::to_string(id) + " has more than " + std::to_string(kLongestScoredToken) + " bytes", "tokens");
    }
  }
  return ok_status();
}

}  // namespace

Result<std::unique_ptr<Tokenizer>> make_tokenizer(TokenizerSpec spec) {
  if (spec.tokens.empty()) return invalid_argument("the vocabulary is empty", "tokens");
  RETURN_IF_ERROR(check_ids(spec));
  RETURN_IF_ERROR(check_scores(spec));
  std::sort(spec.end_of_generation.begin(), spec.end_of_generation.end());
  const auto last = std::unique(spec.end_of_generation.begin(), spec.end_of_generation.end());
  spec.end_of_generation.erase(last, spec.end_of_generation.end());
  return std::unique_ptr<Tokenizer>(std::make_unique<PipelineTokenizer>(std::move(spec)));
}

}  // namespace strata
