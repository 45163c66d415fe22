// How evenly a model's experts are used: how many tokens each was given since the start, layer by layer. One thread
// counts; any thread may read without waiting.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

namespace strata {

class ExpertLoad {
 public:
  explicit ExpertLoad(const std::vector<int>& n_experts_of_layer);

  // The tokens of one step: expert e of the layer was given [begin[e], begin[e + 1]) of them.
  void count(int layer, std::span<const int32_t> begin);

  int n_layers() const { return static_cast<int>(layers_.size()); }
  uint64_t tokens() const;  // over all layers: a token counts once for each expert it was given to
  // Tokens of the layer's busiest expert over the mean of its experts: 1 when all were given as many, the number of
  // experts when one was given all; 0 before the first token.
  double imbalance(int layer) const;

 private:
  std::vector<std::vector<std::atomic<uint64_t>>> layers_;
};

}  // namespace strata
