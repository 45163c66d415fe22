// How a model learns from another (recipe section distill).
#pragma once

#include <cstdint>
#include <filesystem>
#include <utility>
#include <vector>

namespace strata {

// The loss of a position is (1 - weight) * its cross-entropy + weight * temperature^2 * the divergence of the student's
// probabilities from the teacher's, both of logits / temperature, over the teacher's top_k tokens and all others
// together.
struct DistillationOptions {
  std::filesystem::path teacher;  // a folder or GGUF file
  double temperature = 1;
  double weight = 0.5;
  int64_t top_k = 32;
  // Pairs of layers, student's and teacher's, whose hidden states shall be alike, and what that counts in the loss.
  std::vector<std::pair<int64_t, int64_t>> layers;
  double layer_weight = 1;
};

}  // namespace strata
