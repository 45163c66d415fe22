#include "engine/choice.h"

#include <algorithm>

namespace strata {

Choice::Choice(const Request& request, int index, const Tokenizer& tokenizer, const std::vector<TokenId>& end_tokens)
    : request_(request),
      index_(index),
      end_tokens_(end_tokens),
      history_(request.sampling, request.prompt),
      decoder_(tokenizer, false, TextStart::kAfterOthers),
      stops_(request.stop),
      mask_(request.mask ? request.mask->clone() : nullptr) {}

bool Choice::is_end(TokenId token) const {
  return std::find(end_tokens_.begin(), end_tokens_.end(), token) != end_tokens_.end();
}

Result<TokenId> Choice::sample(Sampler& sampler, std::span<const float> logits, int position) {
  SampleInput input;
  input.logits = logits;
  input.params = &request_.sampling;
  input.history = &history_;
  if (mask_) {
    allowed_.assign((logits.size() + 63) / 64, 0);
    mask_->fill(allowed_);
    input.allowed = &allowed_;
  }
  if (n_tokens_ < request_.min_tokens) input.banned = end_tokens_;
  input.choice = static_cast<uint32_t>(index_);
  input.position = static_cast<uint64_t>(position);
  return sampler.sample(input);
}

void Choice::accept(TokenId token, Event& event) {
  ++n_tokens_;
  event.tokens.push_back(token);
  if (is_end(token)) {
    finish_ = FinishReason::kStop;
    flush_text(event);
  } else {
    history_.add(token);
    if (mask_) mask_->accept(token);
    add_text(decoder_.push(token), event);
    if (!over() && n_tokens_ >= request_.max_tokens) {
      finish_ = FinishReason::kLength;
      flush_text(event);
    }
  }
  event.finish = finish_;
}

// Text of tokens before min_tokens is given out unwatched.
void Choice::add_text(const std::string& text, Event& event) {
  if (n_tokens_ < request_.min_tokens) {
    event.text += text;
    return;
  }
  if (const auto stop = stops_.push(text, event.text)) {
    event.stop_text = stops_.stop(*stop);
    finish_ = FinishReason::kStop;
  }
}

void Choice::flush_text(Event& event) {
  add_text(decoder_.finish(), event);
  if (event.stop_text.empty()) stops_.finish(event.text);
}

}  // namespace strata
