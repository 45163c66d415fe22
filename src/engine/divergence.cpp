#include "engine/divergence.h"

#include <algorithm>
#include <cmath>

namespace strata {
namespace {

double log_of_sum(std::span<const float> row) {
  const double highest = *std::max_element(row.begin(), row.end());
  double sum = 0;
  for (const float logit : row) sum += std::exp(logit - highest);
  return highest + std::log(sum);
}

}  // namespace

double divergence(std::span<const float> reference, std::span<const float> logits) {
  if (reference.empty()) return 0;
  const double of_reference = log_of_sum(reference), of_logits = log_of_sum(logits);
  double mean = 0;
  for (size_t i = 0; i < reference.size(); ++i) {
    const double log_p = reference[i] - of_reference;
    mean += std::exp(log_p) * (log_p - (logits[i] - of_logits));
  }
  return std::max(0.0, mean);
}

double overlap(std::span<const float> reference, std::span<const float> logits) {
  if (reference.empty()) return 0;
  const double of_reference = log_of_sum(reference), of_logits = log_of_sum(logits);
  double sum = 0;
  for (size_t i = 0; i < reference.size(); ++i)
    sum += std::exp(std::min(reference[i] - of_reference, logits[i] - of_logits));
  return sum;
}

}  // namespace strata
