#include <utility>

#include "model/text/tokenizer.h"
#include "model/text/utf8.h"

namespace strata {

IncrementalDecoder::IncrementalDecoder(const Tokenizer& tokenizer, bool special, TextStart start)
    : tokenizer_(&tokenizer),
      rules_(tokenizer.decode_rules()),
      special_(special),
      at_beginning_(start == TextStart::kBeginning) {
  if (at_beginning_) to_strip_ = rules_.strip_count;
}

std::string IncrementalDecoder::push(TokenId id) {
  if (!tokenizer_->is_shown(id, special_)) return {};
  if (rules_.drops_repeats && std::exchange(previous_, id) == id) return {};
  if (!rules_.last_differs) return take(id, false);
  const std::optional<TokenId> before = std::exchange(waiting_, id);
  return before ? take(*before, false) : std::string();
}

std::string IncrementalDecoder::finish() {
  std::string text;
  if (waiting_) text = take(*std::exchange(waiting_, std::nullopt), true);
  std::string rest;
  append_well_formed(rest, std::exchange(held_, std::string()));
  text += strip(std::move(rest));
  return rules_.whole_text ? tokenizer_->complete_text(std::exchange(whole_, std::string()) + text) : text;
}

std::string IncrementalDecoder::take(TokenId id, bool last) {
  const TokenPlace place{std::exchange(at_beginning_, false), last};
  if ((place.first && rules_.first_differs) || place.last) {
    held_ += tokenizer_->piece_at(id, place);
  } else {
    held_ += tokenizer_->piece(id, special_);
  }
  const size_t certain = held_.size() - unfinished_suffix(held_);
  std::string text;
  append_well_formed(text, std::string_view(held_).substr(0, certain));
  held_.erase(0, certain);
  text = strip(std::move(text));
  if (!rules_.whole_text) return text;
  whole_ += text;
  return {};
}

// Drops what the beginning of the text is to lose.
std::string IncrementalDecoder::strip(std::string text) {
  const std::string& character = rules_.strip_character;
  for (; to_strip_ > 0 && !text.empty(); --to_strip_) {
    if (character.empty() || !text.starts_with(character)) {
      to_strip_ = 0;
      break;
    }
    text.erase(0, character.size());
  }
  return text;
}

}  // namespace strata
