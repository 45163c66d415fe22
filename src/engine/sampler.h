// Draws the next token from a row of logits, as SamplingParams says. The draw is a function of the logits, the
// parameters, the history and (seed, choice, position) and of nothing else; the object only keeps buffers. One thread
// at a time.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "engine/penalties.h"
#include "engine/request.h"
#include "engine/token_selection.h"

namespace strata {

struct SampleInput {
  std::span<const float> logits;  // [vocab]
  const SamplingParams* params = nullptr;
  const TokenHistory* history = nullptr;           // may be null
  const std::vector<uint64_t>* allowed = nullptr;  // bits as TokenMask fills them; null: everything
  std::span<const TokenId> banned;                 // not drawn, unless nothing else is allowed
  uint32_t choice = 0;
  uint64_t position = 0;  // of the drawn token in its sequence
};

class Sampler {
 public:
  // kInternal when no token can be drawn: nothing is allowed, or the logits are not numbers.
  Result<TokenId> sample(const SampleInput& input);

  // Log-probability and rank of `token`, and the `top` most likely tokens.
  PositionLogprobs logprobs(std::span<const float> logits, TokenId token, int top);

 private:
  std::span<const float> adjust(const SampleInput& input);
  std::optional<TokenId> draw_from_all(std::span<const float> logits, float max, float scale, double unit);
  double gather(std::span<const float> logits, const SamplingParams& params, float max, float scale);
  void keep_typical(double share);
  std::optional<TokenId> draw_candidate(double unit) const;
  double candidate_mass() const;

  TopSelection selection_;
  std::vector<float> adjusted_;
  std::vector<float> weights_;
  std::vector<float> keys_;
  std::vector<double> block_sums_;
  std::vector<Candidate> candidates_;
};

}  // namespace strata
