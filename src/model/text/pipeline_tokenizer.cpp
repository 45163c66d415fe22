#include "model/text/pipeline_tokenizer.h"

#include <algorithm>
#include <array>
#include <unordered_map>
#include <utility>

#include "model/text/added_token_finder.h"
#include "model/text/bpe_model.h"
#include "model/text/byte_alphabet.h"
#include "model/text/token_map.h"
#include "model/text/unigram_model.h"
#include "model/text/word_level_model.h"
#include "model/text/word_piece_model.h"

namespace strata {
namespace {

constexpr size_t kLongestStretch = size_t{1} << 30;  // the model counts the bytes of a word in 32 bits
constexpr size_t kLongestScoredToken = 1024;         // bytes; all ways to join it are listed

// What a token stands for inside words, as the model sees them.
std::string word_text(const VocabularyToken& token, bool byte_level) {
  if (!token.in_words) return {};
  if (!byte_level) return token.text;
  return unspell_bytes(token.text).value_or(std::string());
}

bool is_added(const VocabularyToken& token) {
  return token.kind == TokenKind::kControl || token.kind == TokenKind::kUnknown ||
         token.kind == TokenKind::kUserDefined;
}

std::vector<std::string> word_texts(const TokenizerSpec& spec) {
  const auto* bpe = std::get_if<BpeSpec>(&spec.model);
  std::vector<std::string> texts;
  texts.reserve(spec.tokens.size());
  for (const VocabularyToken& token : spec.tokens) texts.push_back(word_text(token, bpe != nullptr && bpe->byte_level));
  return texts;
}

std::array<TokenId, 256> byte_tokens(const TokenizerSpec& spec, bool wanted) {
  std::array<TokenId, 256> ids;
  ids.fill(-1);
  if (!wanted) return ids;
  for (size_t id = 0; id < spec.tokens.size(); ++id) {
    const auto byte = byte_token_value(spec.tokens[id].text);
    if (byte && ids[*byte] < 0) ids[*byte] = static_cast<TokenId>(id);
  }
  return ids;
}

struct MakeModel {
  const TokenizerSpec& spec;
  const std::vector<std::string>& texts;

  std::unique_ptr<WordModel> operator()(const BpeSpec& bpe) const {
    return std::make_unique<BpeModel>(bpe, texts, byte_tokens(spec, bpe.byte_fallback));
  }
  std::unique_ptr<WordModel> operator()(const WordPieceSpec& pieces) const {
    return std::make_unique<WordPieceModel>(pieces, texts);
  }
  std::unique_ptr<WordModel> operator()(const WordLevelSpec& words) const {
    return std::make_unique<WordLevelModel>(words, texts);
  }
  std::unique_ptr<WordModel> operator()(const UnigramSpec& unigram) const {
    return std::make_unique<UnigramModel>(unigram, texts, byte_tokens(spec, unigram.byte_fallback));
  }
};

std::vector<AddedToken> added_tokens(const TokenizerSpec& spec, bool normalized) {
  std::vector<AddedToken> chosen;
  for (const AddedToken& token : spec.added) {
    if (token.normalized != normalized) continue;
    chosen.push_back(token);
    if (normalized && !spec.added_as_spelled) chosen.back().content = spec.normalizer.apply(token.content);
  }
  return chosen;
}

class PipelineTokenizer final : public Tokenizer {
 public:
  explicit PipelineTokenizer(TokenizerSpec spec)
      : spec_(std::move(spec)),
        texts_(word_texts(spec_)),
        model_(std::visit(MakeModel{spec_, texts_}, spec_.model)),
        rules_(rules_of(spec_.decoder)),
        by_spelling_(spec_.tokens.size()),
        raw_finder_(added_tokens(spec_, false)),
        normalized_finder_(added_tokens(spec_, true)) {
    spec_.model = {};  // the model has its own form of it
    for (const AddedToken& token : normalized_finder_.tokens()) {
      if (token.content != spec_.tokens[token.id].text) normalized_texts_.emplace(token.id, token.content);
    }
    piece_ends_.reserve(spec_.tokens.size());
    for (size_t id = 0; id < spec_.tokens.size(); ++id) {
      const std::string& text = spec_.tokens[id].text;
      if (!text.empty()) by_spelling_.insert(text, static_cast<TokenId>(id));
      pieces_ += piece_at(static_cast<TokenId>(id), {});
      piece_ends_.push_back(pieces_.size());
    }
  }

  std::vector<TokenId> encode(std::string_view text, const EncodeOptions& options) const override {
    std::vector<TokenId> ids;
    ids.reserve(text.size() / 4 + 4);
    size_t at = 0;
    for (const AddedTokenFinder::Found& found : raw_finder_.find_all(text, options.parse_special)) {
      if (found.span.begin > at) encode_raw(text, {at, found.span.begin}, options, ids);
      ids.push_back(found.id);
      at = found.span.end;
    }
    encode_raw(text, {at, text.size()}, options, ids);
    return options.add_special && spec_.single.size() > 1 ? put_in(spec_.single, ids, {}).ids : ids;
  }

  FramedTokens frame(const std::vector<TokenId>& text) const override { return put_in(spec_.single, text, {}); }
  FramedTokens frame_pair(const std::vector<TokenId>& first, const std::vector<TokenId>& second) const override {
    return put_in(spec_.pair, first, second);
  }

  std::string_view piece(TokenId id, bool special) const override {
    if (id < 0 || id >= vocab_size() || (!special && is_special(id))) return {};
    const size_t begin = id == 0 ? 0 : piece_ends_[id - 1];
    return std::string_view(pieces_).substr(begin, piece_ends_[id] - begin);
  }

  std::string decode(const std::vector<TokenId>& ids, bool special) const override {
    std::string text;
    IncrementalDecoder decoder(*this, special);
    for (const TokenId id : ids) text += decoder.push(id);
    return text + decoder.finish();
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

  DecodeRules decode_rules() const override { return rules_; }
  bool is_shown(TokenId id, bool special) const override {
    return id >= 0 && id < vocab_size() && !spec_.tokens[id].text.empty() && (special || !is_special(id));
  }
  std::string piece_at(TokenId id, TokenPlace place) const override {
    const VocabularyToken& token = spec_.tokens[id];
    if (spec_.decoder.spell_added_tokens && is_added(token)) return token.text;
    const auto normalized = normalized_texts_.find(id);
    return decode_steps(spec_.decoder.token_steps,
                        normalized == normalized_texts_.end() ? token.text : normalized->second, place);
  }
  std::string complete_text(std::string text) const override {
    return decode_steps(spec_.decoder.text_steps, text, {true, true});
  }

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
      if (found.span.begin > at) encode_words(stretch.substr(at, found.span.begin - at), at_start && at == 0, ids);
      ids.push_back(found.id);
      at = found.span.end;
    }
    encode_words(stretch.substr(at), at_start && at == 0, ids);
  }

  void encode_words(std::string_view text, bool at_start, std::vector<TokenId>& ids) const {
    for (size_t at = 0; at < text.size(); at += kLongestStretch) {
      WordList list;
      spec_.pre_tokenizer.cut(text.substr(at, kLongestStretch), at_start && at == 0, list);
      model_->encode(list.text, list.words, ids);
    }
  }

  TokenizerSpec spec_;
  std::vector<std::string> texts_;
  std::unique_ptr<WordModel> model_;
  DecodeRules rules_;
  TokenMap by_spelling_;
  AddedTokenFinder raw_finder_;
  AddedTokenFinder normalized_finder_;
  std::unordered_map<TokenId, std::string> normalized_texts_;  // of added tokens that are looked for so: shown so too
  std::string pieces_;                                         // the decoded texts of all tokens, one after the other
  std::vector<size_t> piece_ends_;
};

Status check_ids(const TokenizerSpec& spec) {
  const auto in_vocabulary = [&](TokenId id) { return id >= 0 && static_cast<size_t>(id) < spec.tokens.size(); };
  for (const AddedToken& token : spec.added) {
    if (!in_vocabulary(token.id)) {
      return invalid_argument("added token id " + std::to_string(token.id) + " is outside the vocabulary");
    }
  }
  for (const Frame* frame : {&spec.single, &spec.pair}) {
    for (const FramePiece& piece : *frame) {
      if (!in_vocabulary(piece.token)) {
        return invalid_argument("token id " + std::to_string(piece.token) +
                                ", to be put around texts, is outside the vocabulary");
      }
    }
  }
  for (const TokenId id : spec.end_of_generation) {
    if (!in_vocabulary(id)) {
      return invalid_argument("end of generation token id " + std::to_string(id) + " is outside the vocabulary");
    }
  }
  for (const auto& id : {spec.bos, spec.eos}) {
    if (id && !in_vocabulary(*id))
      return invalid_argument("token id " + std::to_string(*id) + " is outside the vocabulary");
  }
  return ok_status();
}

struct CheckModel {
  const TokenizerSpec& spec;

  bool in_vocabulary(TokenId id) const { return id >= 0 && static_cast<size_t>(id) < spec.tokens.size(); }

  Status check_unknown(std::optional<TokenId> id) const {
    if (!id || in_vocabulary(*id)) return ok_status();
    return invalid_argument("unknown token id " + std::to_string(*id) + " is outside the vocabulary");
  }

  Status operator()(const BpeSpec& bpe) const {
    for (const MergeRule& merge : bpe.merges) {
      if (!in_vocabulary(merge.left) || !in_vocabulary(merge.right) || !in_vocabulary(merge.result)) {
        return invalid_argument("a merge names a token outside the vocabulary", "merges");
      }
    }
    RETURN_IF_ERROR(check_scores(bpe.scores));
    return check_unknown(bpe.unknown);
  }
  Status operator()(const WordPieceSpec& pieces) const { return check_unknown(pieces.unknown); }
  Status operator()(const WordLevelSpec& words) const { return check_unknown(words.unknown); }
  Status operator()(const UnigramSpec& unigram) const {
    if (unigram.scores.empty()) return invalid_argument("the vocabulary has no scores", "scores");
    RETURN_IF_ERROR(check_scores(unigram.scores));
    return check_unknown(unigram.unknown);
  }

  template <class Score>
  Status check_scores(const std::vector<Score>& scores) const {
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
            "token " + std::to_string(id) + " has more than " + std::to_string(kLongestScoredToken) + " bytes",
            "tokens");
      }
    }
    return ok_status();
  }
};

}  // namespace

Result<std::unique_ptr<Tokenizer>> make_tokenizer(TokenizerSpec spec) {
  if (spec.tokens.empty()) return invalid_argument("the vocabulary is empty", "tokens");
  RETURN_IF_ERROR(check_ids(spec));
  RETURN_IF_ERROR(std::visit(CheckModel{spec}, spec.model));
  std::sort(spec.end_of_generation.begin(), spec.end_of_generation.end());
  const auto last = std::unique(spec.end_of_generation.begin(), spec.end_of_generation.end());
  spec.end_of_generation.erase(last, spec.end_of_generation.end());
  return std::unique_ptr<Tokenizer>(std::make_unique<PipelineTokenizer>(std::move(spec)));
}

}  // namespace strata
