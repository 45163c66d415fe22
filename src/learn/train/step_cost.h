// What a training step has to compute at least: the products of the forward pass and twice as many backward, 6 operations
// for each number of a matrix and token (tied heads count, look-ups do not), and those of attention.
#pragma once

#include <functional>
#include <vector>

#include "compute/graph/batch.h"
#include "compute/graph/graph.h"

namespace strata {

class StepCost {
 public:
  // A model with its loss, attention as it was written.
  explicit StepCost(const Graph& loss, const std::function<bool(const Node& weight)>& is_trained = {});
  double operations(const Batch& batch) const;

 private:
  struct Attention {
    double per_pair = 0;  // of a query and a key that it sees
    int64_t window = 0;   // 0: none
    bool causal = true;
  };
  double per_token_ = 0;
  double per_output_ = 0;
  std::vector<Attention> attention_;
};

}  // namespace strata
