#include "model/text/unigram_model.h"

#include <algorithm>

#include "model/text/utf8.h"

namespace strata {
namespace {

ByteTrie trie_of(const std::vector<std::string>& texts) {
  std::vector<ByteTrie::Entry> entries;
  for (size_t id = 0; id < texts.size(); ++id) entries.emplace_back(texts[id], static_cast<TokenId>(id));
  return ByteTrie(std::move(entries));
}

}  // namespace

// The search through one word.
class UnigramModel::Search {
 public:
  Search(const UnigramModel& model, std::vector<TokenId>& out) : model_(model), out_(out) {}

  void run(std::string_view word) {
    word_ = word;
    settled_ = 0;
    unknown_begin_ = kNoUnknown;
    best_.assign(1, {0.0, 0, kNotReached});
    for (size_t at = 0; at < word.size();) {
      if (settled_ + best_.size() - 1 == at) settle(at);
      at = go_on_from(at);
    }
    settle(word.size());
    end_unknown(word.size());
  }

 private:
  static constexpr TokenId kNotReached = -1;
  static constexpr TokenId kUnknown = -2;
  static constexpr size_t kNoUnknown = SIZE_MAX;

  struct Best {  // the best way to a place: its score, and its last token
    double score = 0.0;
    size_t begin = 0;
    TokenId token = kNotReached;
  };

  // Offers all tokens that begin at `at`; returns where the next character begins.
  size_t go_on_from(size_t at) {
    const double score = best_[at - settled_].score;
    const size_t next = at + code_point_at(word_, at).length;
    bool known = false;
    ByteTrie::Node node = ByteTrie::kRoot;
    for (size_t end = at; end < word_.size() && model_.trie_.step(node, static_cast<uint8_t>(word_[end]));) {
      ++end;
      const TokenId token = model_.trie_.id(node);
      if (token < 0) continue;
      offer(at, end, token, score + model_.scores_[token]);
      known = known || end == next;
    }
    if (!known) offer(at, next, kUnknown, score + model_.unknown_score_);
    return next;
  }

  void offer(size_t begin, size_t end, TokenId token, double score) {
    if (model_.single_precision_) score = static_cast<double>(static_cast<float>(score));
    const size_t place = end - settled_;
    if (place >= best_.size()) best_.resize(place + 1);
    Best& best = best_[place];
    if (best.token != kNotReached && score <= best.score) return;
    best = {score, begin, token};
  }

  // Every way goes through `at`: emits the best one from where the last settled.
  void settle(size_t at) {
    if (at == settled_) return;
    steps_.clear();
    for (size_t end = at; end > settled_; end = steps_.back().begin) steps_.push_back(best_[end - settled_]);
    for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) emit(step->begin, step->token);
    best_[0] = {best_[at - settled_].score, 0, kNotReached};
    best_.resize(1);
    settled_ = at;
  }

  // Unknown characters are gathered: neighbours are one unknown token.
  void emit(size_t begin, TokenId token) {
    if (token == kUnknown || token == model_.unknown_) {
      if (unknown_begin_ == kNoUnknown) unknown_begin_ = begin;
      return;
    }
    end_unknown(begin);
    out_.push_back(token);
  }

  void end_unknown(size_t end) {
    if (unknown_begin_ == kNoUnknown) return;
    const std::string_view bytes = word_.substr(unknown_begin_, end - unknown_begin_);
    unknown_begin_ = kNoUnknown;
    const ByteTrie::Match whole = model_.trie_.longest(bytes, 0);
    const auto token = [&](char byte) { return model_.byte_tokens_[static_cast<uint8_t>(byte)]; };
    if (whole.id >= 0 && whole.length == bytes.size()) {
      out_.push_back(whole.id);
    } else if (std::all_of(bytes.begin(), bytes.end(), [&](char byte) { return token(byte) >= 0; })) {
      for (const char byte : bytes) out_.push_back(token(byte));
    } else if (model_.unknown_) {
      out_.push_back(*model_.unknown_);
    }
  }

  const UnigramModel& model_;
  std::vector<TokenId>& out_;
  std::string_view word_;
  size_t settled_ = 0;
  std::vector<Best> best_;  // by place, from settled_ on
  std::vector<Best> steps_;
  size_t unknown_begin_ = kNoUnknown;
};

UnigramModel::UnigramModel(const UnigramSpec& spec, const std::vector<std::string>& texts,
                           const std::array<TokenId, 256>& byte_tokens)
    : trie_(trie_of(texts)),
      scores_(spec.scores),
      unknown_score_(spec.unknown_score),
      single_precision_(spec.single_precision),
      unknown_(spec.unknown),
      byte_tokens_(byte_tokens) {}

void UnigramModel::encode(std::string_view text, const std::vector<Span>& words, std::vector<TokenId>& out) const {
  Search search(*this, out);
  for (const Span& word : words) search.run(text.substr(word.begin, word.size()));
}

}  // namespace strata
