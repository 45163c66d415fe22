// How far one model's next-token probabilities are from another's.
#pragma once

#include <span>

namespace strata {

// Kullback-Leibler divergence, in nats, of softmax(logits) from softmax(reference): the mean, over tokens drawn as the
// reference draws them, of how much less likely `logits` hold them. Both rows have the same length.
double divergence(std::span<const float> reference, std::span<const float> logits);

// What the two distributions have in common: the sum over tokens of the lower probability. With `logits` those of a
// draft model it is how likely its token is accepted by speculative sampling (https://arxiv.org/abs/2211.17192).
double overlap(std::span<const float> reference, std::span<const float> logits);

}  // namespace strata
