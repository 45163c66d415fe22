#include "model/text/sentence_piece_normalizer.h"

#include "model/text/utf8.h"

namespace strata {
namespace {

constexpr std::string_view kMetaspace = "\xE2\x96\x81";

struct Part {
  std::string_view text;
  size_t length;  // of what it stands for in the input
};

// What the beginning of text[at...] becomes.
Part next_part(const SentencePieceStep& step, std::string_view text, size_t at) {
  if (step.symbols) {
    const size_t length = step.symbols->longest(text, at).length;
    if (length > 0) return {text.substr(at, length), length};
  }
  if (step.map) {
    const CharsMap::Match match = step.map->longest(text, at);
    if (match.length > 0) return {match.text, match.length};
  }
  const CodePoint point = code_point_at(text, at);
  if (!point.valid) return {"\xEF\xBF\xBD", 1};
  return {text.substr(at, point.length), point.length};
}

}  // namespace

std::string sentence_piece_normalize(const SentencePieceStep& step, std::string_view text) {
  const std::string_view space = step.escape_spaces ? kMetaspace : " ";
  std::string out;
  out.reserve(text.size() + text.size() / 4);
  if (step.add_space && !step.space_after) out += space;
  bool after_space = step.merge_spaces;
  bool only_spaces = true;
  for (size_t at = 0; at < text.size();) {
    const Part part = next_part(step, text, at);
    at += part.length;
    only_spaces = only_spaces && part.text == " ";
    for (const char c : part.text) {
      if (c != ' ') {
        out += c;
      } else if (!after_space) {
        out += space;
      }
      after_space = step.merge_spaces && c == ' ';
    }
  }
  if (only_spaces && (text.empty() || step.merge_spaces)) return {};
  while (step.merge_spaces && out.ends_with(space)) out.resize(out.size() - space.size());
  if (step.add_space && step.space_after) out += space;
  return out;
}

}  // namespace strata
