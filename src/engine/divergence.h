// How far one model's next-token probabilities are from another's.
#pragma once

#include <span>

namespace strata {

// Kullback-Leibler divergence, in nats, of softmax(logits) from softmax(reference): the mean, over tokens drawn as the
// reference draws them, of how much less likely `logits` hold them. Both rows have the same length.
double divergence(std::span<const float> reference, std::span<const float> logits);

}  // namespace strata
