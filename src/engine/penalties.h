// Counts the tokens of one choice and takes the penalties from its logits.
#pragma once

#include <span>
#include <unordered_map>

#include "engine/request.h"

namespace strata {

class TokenHistory {
 public:
  // Counts nothing when `params` asks for no penalty.
  TokenHistory(const SamplingParams& params, std::span<const TokenId> prompt);

  bool active() const { return active_; }
  void add(TokenId token) {
    if (active_) ++answer_counts_[token];
  }
  // Repetition (CTRL): positive logits are divided, negative multiplied, for every token of prompt and answer. Presence
  // and frequency (OpenAI): subtracted once, and once per occurrence, for tokens of the answer.
  void penalize(const SamplingParams& params, std::span<float> logits) const;

 private:
  bool active_;
  std::unordered_map<TokenId, int> answer_counts_;  // 0 for tokens of the prompt alone
};

}  // namespace strata
