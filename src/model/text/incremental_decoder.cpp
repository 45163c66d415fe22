#include "model/text/tokenizer.h"
#include "model/text/utf8.h"

namespace strata {

IncrementalDecoder::IncrementalDecoder(const Tokenizer& tokenizer, bool special, TextStart start)
    : tokenizer_(&tokenizer),
      special_(special),
      drop_space_(start == TextStart::kBeginning && tokenizer.strips_leading_space()) {}

std::string IncrementalDecoder::push(TokenId id) {
  std::string_view piece = tokenizer_->piece(id, special_);
  if (piece.empty()) return {};
  if (drop_space_) {
    if (piece.front() == ' ') piece.remove_prefix(1);
    drop_space_ = false;
  }
  held_.append(piece);
  const size_t certain = held_.size() - unfinished_suffix(held_);
  std::string text;
  append_well_formed(text, std::string_view(held_).substr(0, certain));
  held_.erase(0, certain);
  return text;
}

std::string IncrementalDecoder::finish() {
  std::string text;
  append_well_formed(text, held_);
  held_.clear();
  return text;
}

}  // namespace strata
