// The gradient of each parameter, from the gradients of the graph's weights (outputs "grad.<weight>" of a
// differentiated graph), summed over the batches of a step. Results do not depend on the number of threads: threads
// share the numbers, never a sum.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "compute/graph/plan/context.h"
#include "learn/train/parameters.h"

namespace strata {

class Gradients {
 public:
  // The graph whose outputs are the gradients. `parameters` outlives this.
  Gradients(const Graph& differentiated, const Parameters& parameters);

  void begin(int n_batches);  // of the next step
  // Memory for sums when steps have so many batches.
  size_t sum_bytes(int n_batches) const;
  // After a run of one of them.
  void add(ExecutionContext& context, ThreadPool& pool);
  // Of the parameter at this position of Parameters::all(); empty when the loss does not depend on it. Valid until the
  // context runs again.
  std::span<const float> of(size_t parameter) const { return gradient_[parameter]; }

 private:
  struct Weight {
    std::string output;  // "grad.<weight>"
    WeightRef ref;
  };
  void add_weight(const Weight& weight, std::span<const float> values, ThreadPool& pool);

  const Parameters& parameters_;
  std::vector<Weight> weights_;
  std::vector<char> whole_;  // parameter: its gradient is the whole of one weight's, as it lies
  std::vector<AlignedBuffer> sums_;
  std::vector<std::span<const float>> gradient_;
  bool one_batch_ = true;
};

// The L2 norm over all parameters, by one fixed tree: blocks of numbers, then their sums in order.
double global_norm(const Gradients& gradients, size_t n_parameters, ThreadPool& pool);

}  // namespace strata
