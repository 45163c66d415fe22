#include "engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/philox.h"
#include "engine/softmax.h"

namespace strata {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

}  // namespace

Result<TokenId> Sampler::sample(const SampleInput& input) {
  const SamplingParams& params = *input.params;
  const std::span<const float> logits = adjust(input);
  const float max = max_value(logits);
  if (!std::isfinite(max)) {
    return internal_error(max < 0 ? "no token is allowed here" : "the model gave logits that are not finite");
  }
  if (params.temperature == 0) {
    return static_cast<TokenId>(std::find(logits.begin(), logits.end(), max) - logits.begin());
  }
  const float scale = 1 / params.temperature;
  const double unit = random_unit(params.seed, input.choice, input.position);
  const bool all = (params.top_k <= 0 || static_cast<size_t>(params.top_k) >= logits.size()) && params.min_p <= 0 &&
                   params.top_p >= 1 && params.typical_p >= 1;
  std::optional<TokenId> token;
  if (all) {
    token = draw_from_all(logits, max, scale, unit);
  } else {
    const double mass = gather(logits, params, max, scale);
    if (params.top_p < 1) keep_mass(candidates_, params.top_p * mass);
    if (params.typical_p < 1) keep_typical(params.typical_p);
    token = draw_candidate(unit);
  }
  if (!token) return internal_error("the model gave logits that are not finite");
  return *token;
}

// Bias, penalties, mask and bans. Returns the logits themselves when there is nothing to change.
std::span<const float> Sampler::adjust(const SampleInput& input) {
  const SamplingParams& params = *input.params;
  const bool penalized = input.history != nullptr && input.history->active();
  if (params.logit_bias.empty() && !penalized && input.allowed == nullptr && input.banned.empty()) return input.logits;
  adjusted_.assign(input.logits.begin(), input.logits.end());
  for (const auto& [token, bias] : params.logit_bias) adjusted_[static_cast<size_t>(token)] += bias;
  if (penalized) input.history->penalize(params, adjusted_);
  if (input.allowed != nullptr) {
    for (size_t i = 0; i < adjusted_.size(); ++i) {
      if (((*input.allowed)[i / 64] >> (i % 64) & 1) == 0) adjusted_[i] = kNever;
    }
  }
  std::vector<std::pair<TokenId, float>> held;
  for (const TokenId token : input.banned) {
    held.emplace_back(token, adjusted_[static_cast<size_t>(token)]);
    adjusted_[static_cast<size_t>(token)] = kNever;
  }
  if (!held.empty() && max_value(adjusted_) == kNever) {
    // In reverse, as an id may be named twice.
    for (auto i = held.rbegin(); i != held.rend(); ++i) adjusted_[static_cast<size_t>(i->first)] = i->second;
  }
  return adjusted_;
}

// A token with the probability of its weight among all. Empty when the weights are not numbers.
std::optional<TokenId> Sampler::draw_from_all(std::span<const float> logits, float max, float scale, double unit) {
  weights_.resize(logits.size());
  double left = unit * exp_weights(logits, max, scale, weights_, block_sums_);
  size_t block = 0;
  while (block + 1 < block_sums_.size() && !(left < block_sums_[block])) left -= block_sums_[block++];
  // Rounding may leave a trace of mass behind the last token of a block; it falls to that token.
  std::optional<TokenId> last;
  const size_t end = std::min((block + 1) * kSumBlock, weights_.size());
  for (size_t i = block * kSumBlock; i < end; ++i) {
    if (!(weights_[i] > 0)) continue;
    last = static_cast<TokenId>(i);
    left -= weights_[i];
    if (left < 0) break;
  }
  if (last) return last;
  return static_cast<TokenId>(std::find(logits.begin(), logits.end(), max) - logits.begin());
}

// Fills the candidates with what min_p and top_k leave; returns the mass that top_p is a share of.
double Sampler::gather(std::span<const float> logits, const SamplingParams& params, float max, float scale) {
  candidates_.clear();
  if (params.top_k > 0 && static_cast<size_t>(params.top_k) < logits.size()) {
    selection_.select(logits, params.top_k, candidates_);
    keys_.clear();
    for (const Candidate& candidate : candidates_) keys_.push_back(candidate.key);
    weights_.resize(keys_.size());
    exp_weights(keys_, max, scale, weights_, block_sums_);
    for (size_t i = 0; i < candidates_.size(); ++i) candidates_[i].weight = weights_[i];
    const float floor = std::max(params.min_p, std::numeric_limits<float>::min());
    std::erase_if(candidates_, [&](const Candidate& candidate) { return candidate.weight < floor; });
    return candidate_mass();
  }
  weights_.resize(logits.size());
  const double total = exp_weights(logits, max, scale, weights_, block_sums_);
  float floor = std::max(params.min_p, std::numeric_limits<float>::min());
  const bool only_top_p = params.min_p <= 0 && params.top_p < 1;
  if (only_top_p) {
    // What lies below this weight sums to less than 1 - top_p of the mass, so it cannot belong to the kept part.
    const double unneeded = (1 - double{params.top_p}) * total / static_cast<double>(logits.size());
    floor = std::max(floor, static_cast<float>(unneeded * 0.999));
  }
  for (size_t i = 0; i < weights_.size(); ++i) {
    if (weights_[i] >= floor) candidates_.push_back({logits[i], static_cast<TokenId>(i), weights_[i]});
  }
  return only_top_p ? total : candidate_mass();
}

// Locally typical sampling: keeps the tokens whose surprise is nearest to the entropy, up to `share` of the mass.
void Sampler::keep_typical(double share) {
  const double mass = candidate_mass();
  double entropy = 0;
  for (const Candidate& candidate : candidates_) {
    const double probability = candidate.weight / mass;
    entropy -= probability * std::log(probability);
  }
  for (Candidate& candidate : candidates_) {
    candidate.key = -static_cast<float>(std::abs(-std::log(candidate.weight / mass) - entropy));
  }
  keep_mass(candidates_, share * mass);
}

double Sampler::candidate_mass() const {
  double mass = 0;
  for (const Candidate& candidate : candidates_) mass += candidate.weight;
  return mass;
}

std::optional<TokenId> Sampler::draw_candidate(double unit) const {
  if (candidates_.empty()) return std::nullopt;
  double left = unit * candidate_mass();
  for (const Candidate& candidate : candidates_) {
    left -= candidate.weight;
    if (left < 0) return candidate.id;
  }
  return candidates_.back().id;
}

PositionLogprobs Sampler::logprobs(std::span<const float> logits, TokenId token, int top) {
  const float max = max_value(logits);
  const float offset = max + static_cast<float>(log_sum_exp(logits, max));
  PositionLogprobs result;
  result.chosen = {token, logits[static_cast<size_t>(token)] - offset};
  result.rank = 1 + count_before(logits, token);
  selection_.select(logits, top, candidates_);
  for (const Candidate& candidate : candidates_) result.top.push_back({candidate.id, candidate.key - offset});
  return result;
}

}  // namespace strata
