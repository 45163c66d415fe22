#include "model/text/bpe_model.h"

#include <algorithm>

#include "model/text/byte_alphabet.h"
#include "model/text/utf8.h"

namespace strata {

struct BpeModel::Scratch {
  explicit Scratch(const MergeTable& merges) : merger(merges) {}
  BpeMerger merger;
  std::vector<BpeMerger::Part> parts;
  bool after_unknown = false;  // the last token of this word is the unknown token
};

BpeModel::BpeModel(const BpeSpec& spec, const std::vector<std::string>& texts,
                   const std::array<TokenId, 256>& byte_tokens)
    : byte_level_(spec.byte_level),
      fuse_unknown_(spec.fuse_unknown),
      whole_words_first_(spec.whole_words_first),
      next_prefix_(spec.next_prefix),
      last_suffix_(spec.last_suffix),
      unknown_(spec.unknown),
      drop_unknown_(spec.drop_unknown),
      byte_tokens_(byte_tokens),
      by_text_(texts.size()),
      n_tokens_(texts.size()) {
  for (size_t id = 0; id < texts.size(); ++id) {
    if (texts[id].empty()) continue;
    by_text_.insert(texts[id], static_cast<TokenId>(id));
    longest_text_ = std::max(longest_text_, texts[id].size());
  }
  const bool from_scores = !spec.scores.empty();
  name_first_symbols(texts, from_scores);
  fill_tables(from_scores ? scored_rules(spec, texts) : ranked_rules(spec, texts), texts);
  reachable_.resize(texts.size());
  if (next_prefix_.empty() && last_suffix_.empty()) mark_reachable(texts);
}

// Bytes and characters that are tokens go by their id. With scores, "ab" may merge although "b" is no token: each other
// character in some token gets a symbol beyond the ids.
void BpeModel::name_first_symbols(const std::vector<std::string>& texts, bool from_scores) {
  if (byte_level_) {
    for (size_t byte = 0; byte < 256; ++byte) {
      const char text = static_cast<char>(byte);
      const auto id = by_text_.find(std::string_view(&text, 1));
      byte_symbols_[byte] = id ? static_cast<Symbol>(*id) : kNoSymbol;
    }
    return;
  }
  auto next = static_cast<Symbol>(n_tokens_);
  for (const std::string& text : texts) {
    for (size_t at = 0; at < text.size();) {
      const CodePoint point = code_point_at(text, at);
      if (point.valid && characters_.find(point.value) == kNoSymbol) {
        const auto id = by_text_.find(std::string_view(text).substr(at, point.length));
        if (id) {
          characters_.set(point.value, static_cast<Symbol>(*id));
        } else if (from_scores) {
          characters_.set(point.value, next++);
        }
      }
      at += point.length;
    }
  }
}

Symbol BpeModel::first_symbol(std::string_view text, size_t at, size_t& length) const {
  length = 1;
  if (byte_level_) return byte_symbols_[static_cast<uint8_t>(text[at])];
  const CodePoint point = code_point_at(text, at);
  if (!point.valid) return kNoSymbol;
  length = point.length;
  return characters_.find(point.value);
}

Symbol BpeModel::symbol_of_text(std::string_view text) const {
  if (const auto id = by_text_.find(text)) return static_cast<Symbol>(*id);
  size_t length = 0;
  const Symbol symbol = first_symbol(text, 0, length);
  return length == text.size() ? symbol : kNoSymbol;
}

std::vector<BpeModel::Rule> BpeModel::ranked_rules(const BpeSpec& spec, const std::vector<std::string>& texts) const {
  std::vector<Rule> rules;
  rules.reserve(spec.merges.size());
  for (size_t rank = 0; rank < spec.merges.size(); ++rank) {
    const auto [left, right, result] = spec.merges[rank];
    if (texts[left].empty() || texts[right].empty() || texts[result].empty()) continue;
    rules.push_back({static_cast<Symbol>(left),
                     static_cast<Symbol>(right),
                     {static_cast<uint32_t>(rank), static_cast<Symbol>(result)}});
  }
  return rules;
}

std::vector<BpeModel::Rule> BpeModel::scored_rules(const BpeSpec& spec, const std::vector<std::string>& texts) const {
  std::vector<float> order = spec.scores;
  std::sort(order.begin(), order.end(), std::greater<>());
  order.erase(std::unique(order.begin(), order.end()), order.end());
  std::vector<Rule> rules;
  for (size_t id = 0; id < texts.size(); ++id) {
    const std::string_view text = texts[id];
    if (text.empty() || by_text_.find(text) != static_cast<TokenId>(id)) continue;
    const auto place = std::lower_bound(order.begin(), order.end(), spec.scores[id], std::greater<>());
    const Merge merge{static_cast<uint32_t>(place - order.begin()), static_cast<Symbol>(id)};
    const auto step = [&](size_t at) { return byte_level_ ? size_t{1} : size_t{code_point_at(text, at).length}; };
    for (size_t at = step(0); at < text.size(); at += step(at)) {
      const Symbol left = symbol_of_text(text.substr(0, at));
      const Symbol right = symbol_of_text(text.substr(at));
      if (left != kNoSymbol && right != kNoSymbol) rules.push_back({left, right, merge});
    }
  }
  return rules;
}

void BpeModel::fill_tables(const std::vector<Rule>& rules, const std::vector<std::string>& texts) {
  merges_ = MergeTable(rules.size());
  joins_ = JoinFilter(rules.size());
  size_t length = 0;
  for (const Rule& rule : rules) {
    merges_.insert(rule.left, rule.right, rule.merge);
    Symbol last = rule.left;
    Symbol first = rule.right;
    if (last < n_tokens_) {
      const std::string_view text = texts[last];
      last = first_symbol(text, byte_level_ ? text.size() - 1 : previous_code_point(text, text.size()), length);
    }
    if (first < n_tokens_) first = first_symbol(texts[first], 0, length);
    joins_.add(last, first);
  }
}

void BpeModel::mark_reachable(const std::vector<std::string>& texts) {
  Scratch scratch(merges_);
  for (size_t id = 0; id < texts.size(); ++id) {
    if (texts[id].empty()) continue;
    scratch.parts.clear();
    split(texts[id], scratch.parts);
    scratch.merger.merge(scratch.parts);
    reachable_[id] = scratch.parts.size() == 1 && scratch.parts[0].symbol == id;
  }
}

void BpeModel::split(std::string_view text, std::vector<BpeMerger::Part>& parts) const {
  size_t length = 0;
  for (size_t at = 0; at < text.size(); at += length) {
    const Symbol symbol = first_symbol(text, at, length);
    parts.push_back({symbol, static_cast<uint32_t>(at)});
  }
}

// The same where a character is spelled otherwise inside a word, or at its end.
void BpeModel::split_spelled(std::string_view word, std::vector<BpeMerger::Part>& parts) const {
  std::string spelling;
  size_t length = 0;
  for (size_t at = 0; at < word.size(); at += length) {
    Symbol symbol = first_symbol(word, at, length);
    const bool last = at + length == word.size();
    spelling.assign(at > 0 ? next_prefix_ : "").append(word.substr(at, length)).append(last ? last_suffix_ : "");
    if (spelling.size() > length) {
      const auto id = by_text_.find(spelling);
      symbol = id ? static_cast<Symbol>(*id) : kNoSymbol;
    }
    if (!is_dropped(symbol, word.substr(at, length))) parts.push_back({symbol, static_cast<uint32_t>(at)});
  }
}

bool BpeModel::is_dropped(Symbol symbol, std::string_view text) const {
  return symbol == kNoSymbol && drop_unknown_ && !has_byte_tokens(text);
}

bool BpeModel::has_byte_tokens(std::string_view bytes) const {
  const auto has_token = [&](char byte) { return byte_tokens_[static_cast<uint8_t>(byte)] >= 0; };
  return std::all_of(bytes.begin(), bytes.end(), has_token);
}

void BpeModel::encode(std::string_view text, const std::vector<Span>& words, std::vector<TokenId>& out) const {
  Scratch scratch(merges_);
  for (const Span& word : words) encode_word(text.substr(word.begin, word.size()), scratch, out);
}

void BpeModel::encode_word(std::string_view word, Scratch& scratch, std::vector<TokenId>& out) const {
  if (word.size() <= longest_text_) {
    const auto id = by_text_.find(word);
    if (id && (whole_words_first_ || reachable_[*id])) {
      out.push_back(*id);
      return;
    }
  }
  scratch.after_unknown = false;
  scratch.parts.clear();
  if (!next_prefix_.empty() || !last_suffix_.empty()) {
    split_spelled(word, scratch.parts);
    scratch.merger.merge(scratch.parts);
    return emit_parts(word, word.size(), scratch, out);
  }
  Symbol previous = kNoSymbol;
  size_t length = 0;
  for (size_t at = 0; at < word.size(); at += length) {
    const Symbol symbol = first_symbol(word, at, length);
    if (is_dropped(symbol, word.substr(at, length))) continue;
    if (!scratch.parts.empty() && !joins_.may_join(previous, symbol)) encode_part(word, at, scratch, out);
    scratch.parts.push_back({symbol, static_cast<uint32_t>(at)});
    previous = symbol;
  }
  if (!scratch.parts.empty()) encode_part(word, word.size(), scratch, out);
}

// Encodes scratch.parts, which cover word[parts[0].begin, end), and empties it.
void BpeModel::encode_part(std::string_view word, size_t end, Scratch& scratch, std::vector<TokenId>& out) const {
  std::vector<BpeMerger::Part>& parts = scratch.parts;
  if (parts.size() > 1) {
    const size_t begin = parts[0].begin;
    const auto id = end - begin <= longest_text_ ? by_text_.find(word.substr(begin, end - begin)) : std::nullopt;
    if (id && reachable_[*id]) {
      parts.resize(1);
      parts[0].symbol = static_cast<Symbol>(*id);
    } else {
      scratch.merger.merge(parts);
    }
  }
  emit_parts(word, end, scratch, out);
}

void BpeModel::emit_parts(std::string_view word, size_t end, Scratch& scratch, std::vector<TokenId>& out) const {
  std::vector<BpeMerger::Part>& parts = scratch.parts;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (parts[i].symbol < n_tokens_) {
      out.push_back(static_cast<TokenId>(parts[i].symbol));
      scratch.after_unknown = false;
    } else {
      const size_t part_end = i + 1 < parts.size() ? parts[i + 1].begin : end;
      emit_unknown(word.substr(parts[i].begin, part_end - parts[i].begin), scratch, out);
    }
  }
  parts.clear();
}

void BpeModel::emit_unknown(std::string_view bytes, Scratch& scratch, std::vector<TokenId>& out) const {
  const std::string spelling = byte_level_ ? spell_bytes(bytes) : std::string(bytes);
  if (has_byte_tokens(spelling)) {
    for (const char byte : spelling) out.push_back(byte_tokens_[static_cast<uint8_t>(byte)]);
    scratch.after_unknown = false;
  } else if (unknown_ && !(fuse_unknown_ && scratch.after_unknown)) {
    out.push_back(*unknown_);
    scratch.after_unknown = true;
  }
}

}  // namespace strata
