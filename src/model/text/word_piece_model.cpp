#include "model/text/word_piece_model.h"

#include "model/text/utf8.h"

namespace strata {
namespace {

ByteTrie trie_of(const std::vector<std::string>& texts, std::string_view prefix) {
  std::vector<ByteTrie::Entry> entries;
  for (size_t id = 0; id < texts.size(); ++id) {
    const std::string_view text = texts[id];
    if (text.starts_with(prefix)) entries.emplace_back(text.substr(prefix.size()), static_cast<TokenId>(id));
  }
  return ByteTrie(std::move(entries));
}

bool has_more_characters(std::string_view word, size_t most) {
  if (word.size() <= most) return false;
  size_t n = 0;
  for (size_t at = 0; at < word.size() && n <= most; ++n) at += code_point_at(word, at).length;
  return n > most;
}

}  // namespace

WordPieceModel::WordPieceModel(const WordPieceSpec& spec, const std::vector<std::string>& texts)
    : first_(trie_of(texts, spec.first_prefix)),
      next_(trie_of(texts, spec.next_prefix)),
      most_characters_(spec.most_characters),
      unknown_(spec.unknown) {}

void WordPieceModel::encode(std::string_view text, const std::vector<Span>& words, std::vector<TokenId>& out) const {
  for (const Span& word : words) {
    const size_t before = out.size();
    if (encode_word(text.substr(word.begin, word.size()), out)) continue;
    out.resize(before);
    if (unknown_) out.push_back(*unknown_);
  }
}

bool WordPieceModel::encode_word(std::string_view word, std::vector<TokenId>& out) const {
  if (has_more_characters(word, most_characters_)) return false;
  for (size_t at = 0; at < word.size();) {
    const ByteTrie::Match match = (at == 0 ? first_ : next_).longest(word, at);
    if (match.id < 0) return false;
    out.push_back(match.id);
    at += match.length;
  }
  return true;
}

}  // namespace strata
