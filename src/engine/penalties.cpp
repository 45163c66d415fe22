#include "engine/penalties.h"

namespace strata {

TokenHistory::TokenHistory(const SamplingParams& params, std::span<const TokenId> prompt)
    : active_(params.repetition_penalty != 1 || params.presence_penalty != 0 || params.frequency_penalty != 0) {
  if (params.repetition_penalty == 1) return;
  for (const TokenId token : prompt) answer_counts_.try_emplace(token, 0);
}

void TokenHistory::penalize(const SamplingParams& params, std::span<float> logits) const {
  for (const auto& [token, count] : answer_counts_) {
    float& logit = logits[static_cast<size_t>(token)];
    logit = logit > 0 ? logit / params.repetition_penalty : logit * params.repetition_penalty;
    if (count > 0) logit -= params.presence_penalty + static_cast<float>(count) * params.frequency_penalty;
  }
}

}  // namespace strata
