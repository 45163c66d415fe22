// Random requests that use everything at once, from a seed.
#pragma once

#include <random>
#include <vector>

#include "engine/fake_runner.h"
#include "engine/fake_tokenizer.h"
#include "engine/request.h"

namespace strata {

// Plain arithmetic on the generator's output, so that a seed means the same with every standard library.
class Dice {
 public:
  explicit Dice(uint64_t seed) : generator_(seed) {}
  int below(int n) { return static_cast<int>(generator_() % static_cast<uint64_t>(n)); }
  int between(int low, int high) { return low + below(high - low + 1); }
  bool one_in(int n) { return below(n) == 0; }
  TokenId token() { return between(2, FakeTokenizer::kVocab - 1); }

 private:
  std::mt19937_64 generator_;
};

inline SamplingParams random_sampling(Dice& dice) {
  SamplingParams params;
  params.seed = static_cast<uint64_t>(dice.below(1 << 30));
  params.temperature = dice.one_in(3) ? 0 : 0.4f + 0.2f * static_cast<float>(dice.below(5));
  if (dice.one_in(3)) params.top_k = dice.between(1, 40);
  if (dice.one_in(3)) params.top_p = 0.5f + 0.1f * static_cast<float>(dice.below(5));
  if (dice.one_in(5)) params.min_p = 0.05f;
  if (dice.one_in(5)) params.typical_p = 0.8f;
  if (dice.one_in(5)) params.repetition_penalty = 1.3f;
  if (dice.one_in(5)) params.presence_penalty = 0.5f;
  if (dice.one_in(5)) params.frequency_penalty = 0.3f;
  if (dice.one_in(5)) params.logit_bias = {{dice.token(), 3.0f}, {dice.token(), -50.0f}};
  return params;
}

// Prompts share prefixes: one of three stems, cut anywhere, then a tail of their own (maybe none).
inline Request random_request(Dice& dice, uint64_t stems, int max_length) {
  Request request;
  Dice stem(stems + static_cast<uint64_t>(dice.below(3)));
  const int shared = dice.below(max_length / 2);
  for (int i = 0; i < shared; ++i) request.prompt.push_back(stem.token());
  const int own = dice.one_in(4) && shared > 0 ? 0 : dice.between(1, max_length / 5);
  for (int i = 0; i < own; ++i) request.prompt.push_back(dice.token());
  const int room = max_length - static_cast<int>(request.prompt.size());
  request.max_tokens = dice.one_in(8) ? dice.below(3) : dice.between(1, room);
  request.sampling = random_sampling(dice);
  if (dice.one_in(4)) request.n = dice.between(2, 4);
  if (dice.one_in(4)) request.min_tokens = dice.between(0, request.max_tokens);
  if (dice.one_in(3)) request.stop = {"ab", "cad"};
  if (dice.one_in(6)) request.stop_tokens = {dice.token(), dice.token()};
  request.ignore_eos = dice.one_in(2);
  if (dice.one_in(3)) request.logprobs = dice.below(4);
  if (dice.one_in(5)) request.prompt_logprobs = dice.below(3);
  request.priority = dice.one_in(3) ? dice.between(-1, 1) : 0;
  if (dice.one_in(4)) request.cache_salt = "tenant";
  if (dice.one_in(4)) request.adapter = fake_adapter(static_cast<uint64_t>(dice.below(2)));
  return request;
}

}  // namespace strata
