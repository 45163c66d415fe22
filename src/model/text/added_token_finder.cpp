#include "model/text/added_token_finder.h"

#include <algorithm>
#include <utility>

#include "model/text/char_class.h"
#include "model/text/utf8.h"

namespace strata {
namespace {

bool is_space(const CodePoint& point) {
  return point.valid && (CharClassTable::instance().of(point.value) & kClassSpace);
}

bool touches_word(std::string_view text, Span span) {
  const auto is_word_at = [&](size_t at) {
    const CodePoint point = code_point_at(text, at);
    return point.valid && is_word_character(point.value);
  };
  return (span.end < text.size() && is_word_at(span.end)) ||
         (span.begin > 0 && is_word_at(previous_code_point(text, span.begin)));
}

size_t space_begin(std::string_view text, size_t end, size_t lowest) {
  while (end > lowest) {
    const size_t at = previous_code_point(text, end);
    if (!is_space(code_point_at(text, at))) break;
    end = at;
  }
  return std::max(end, lowest);
}

size_t space_end(std::string_view text, size_t at) {
  while (at < text.size()) {
    const CodePoint point = code_point_at(text, at);
    if (!is_space(point)) break;
    at += point.length;
  }
  return at;
}

}  // namespace

AddedTokenFinder::AddedTokenFinder(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  std::erase_if(tokens_, [](const AddedToken& token) { return token.content.empty(); });
  std::vector<ByteTrie::Entry> entries;
  for (size_t i = tokens_.size(); i-- > 0;) {  // of equal ones the first counts
    entries.emplace_back(tokens_[i].content, static_cast<int32_t>(i));
    first_bytes_.set(static_cast<uint8_t>(tokens_[i].content[0]));
  }
  trie_ = ByteTrie(std::move(entries));
}

int32_t AddedTokenFinder::match(std::string_view text, size_t at, bool parse_special) const {
  int32_t longest = -1;
  ByteTrie::Node node = ByteTrie::kRoot;
  for (; at < text.size() && trie_.step(node, static_cast<uint8_t>(text[at])); ++at) {
    const int32_t index = trie_.id(node);
    if (index >= 0 && (parse_special || !tokens_[index].special)) longest = index;
  }
  return longest;
}

std::vector<AddedTokenFinder::Found> AddedTokenFinder::find_all(std::string_view text, bool parse_special) const {
  std::vector<Found> found;
  if (tokens_.empty()) return found;
  size_t free = 0;  // where the previous token, with its white space, ends
  for (size_t at = 0; at < text.size();) {
    if (!first_bytes_[static_cast<uint8_t>(text[at])]) {
      ++at;
      continue;
    }
    const int32_t index = match(text, at, parse_special);
    if (index < 0) {
      ++at;
      continue;
    }
    const AddedToken& token = tokens_[index];
    Span span{at, at + token.content.size()};
    at = span.end;
    if (token.single_word && touches_word(text, span)) continue;
    if (token.left_strip) span.begin = space_begin(text, std::max(span.begin, free), free);
    if (token.right_strip) span.end = space_end(text, span.end);
    if (span.begin < span.end) found.push_back({token.id, span});
    free = span.end;
  }
  return found;
}

}  // namespace strata
