// How a model learns from another (recipe section distill).
#pragma once

#include <cstdint>
#include <filesystem>
#include <utility>
#include <vector>

namespace strata {

// Texts that the student writes itself, from the first tokens of documents on, with the weights that it has at that step.
struct OnPolicyOptions {
  double share = 0;  // of a step's tokens; 0: none
  int64_t prompt_tokens = 32;
  int64_t max_new_tokens = 128;
  double temperature = 1;  // that it samples at

  int64_t most() const { return prompt_tokens + max_new_tokens; }  // tokens of a text
};

// The loss of a position is (1 - weight) * its cross-entropy + weight * temperature^2 * the divergence of the student's
// probabilities from the teacher's, both of logits / temperature, over the teacher's top_k tokens and all others
// together. Of what the student wrote itself only the divergence counts: weight is 1.
struct DistillationOptions {
  std::filesystem::path teacher;  // a folder or GGUF file
  double temperature = 1;
  double weight = 0.5;
  int64_t top_k = 32;
  double beta = 0;  // which divergence (ops::Distillation)
  OnPolicyOptions on_policy;
  // Pairs of layers, student's and teacher's, whose hidden states shall be alike, and what that counts in the loss.
  std::vector<std::pair<int64_t, int64_t>> layers;
  double layer_weight = 1;
};

}  // namespace strata
