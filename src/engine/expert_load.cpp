#include "engine/expert_load.h"

#include <algorithm>

#include "base/check.h"

namespace strata {

ExpertLoad::ExpertLoad(const std::vector<int>& n_experts_of_layer) {
  for (const int n : n_experts_of_layer) layers_.emplace_back(static_cast<size_t>(n));
}

void ExpertLoad::count(int layer, std::span<const int32_t> begin) {
  auto& experts = layers_[static_cast<size_t>(layer)];
  CHECK_EQ(begin.size(), experts.size() + 1);
  for (size_t e = 0; e < experts.size(); ++e) {
    const auto tokens = static_cast<uint64_t>(begin[e + 1] - begin[e]);
    experts[e].store(experts[e].load(std::memory_order_relaxed) + tokens, std::memory_order_relaxed);
  }
}

uint64_t ExpertLoad::tokens() const {
  uint64_t total = 0;
  for (const auto& experts : layers_) {
    for (const auto& tokens : experts) total += tokens.load(std::memory_order_relaxed);
  }
  return total;
}

double ExpertLoad::imbalance(int layer) const {
  const auto& experts = layers_[static_cast<size_t>(layer)];
  uint64_t total = 0;
  uint64_t most = 0;
  for (const auto& expert : experts) {
    const uint64_t tokens = expert.load(std::memory_order_relaxed);
    total += tokens;
    most = std::max(most, tokens);
  }
  if (total == 0) return 0;
  return static_cast<double>(most) * static_cast<double>(experts.size()) / static_cast<double>(total);
}

}  // namespace strata
