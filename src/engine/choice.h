// One answer of a request as it grows: draws its tokens, turns them into text, and knows when it is over.
//
//   growing --end token, stop token, stop string--> kStop
//           --max_tokens--------------------------> kLength
//           --cancelled, failed (by the engine)---> kCancelled, kError
//
// Thread rule: the engine thread alone. The request and the tokenizer outlive it.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "engine/penalties.h"
#include "engine/request.h"
#include "engine/sampler.h"
#include "engine/stop_strings.h"

namespace strata {

class Choice {
 public:
  // `end_tokens`: the ids that end this request's choices, outlives the choice.
  Choice(const Request& request, int index, const Tokenizer& tokenizer, const std::vector<TokenId>& end_tokens);

  // The token for `position` of the sequence.
  Result<TokenId> sample(Sampler& sampler, std::span<const float> logits, int position);
  // Takes the token and adds it, its text and perhaps the end to the event.
  void accept(TokenId token, Event& event);
  void end(FinishReason reason) { finish_ = reason; }

  bool over() const { return finish_ != FinishReason::kNone; }
  int n_tokens() const { return n_tokens_; }

 private:
  bool is_end(TokenId token) const;
  void add_text(const std::string& text, Event& event);
  void flush_text(Event& event);

  const Request& request_;
  const int index_;
  const std::vector<TokenId>& end_tokens_;
  TokenHistory history_;
  IncrementalDecoder decoder_;
  StopStrings stops_;
  std::unique_ptr<TokenMask> mask_;
  std::vector<uint64_t> allowed_;
  int n_tokens_ = 0;
  FinishReason finish_ = FinishReason::kNone;
};

}  // namespace strata
