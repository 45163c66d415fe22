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
  // Another graph of the same parameters, or of parts of them; gives its number, from 1.
  size_t include(const Graph& differentiated);

  void begin(int n_runs);  // of the next step, of all graphs
  // Memory for sums when steps have so many runs.
  size_t sum_bytes(int n_runs) const;
  // After a run of the graph of this number: its gradients, times the weight of the run. What the first graph gives
  // alone in a step is not copied.
  void add(ExecutionContext& context, ThreadPool& pool, size_t graph = 0, double weight_of_run = 1);
  // Of the parameter at this position of Parameters::all(); empty when the loss does not depend on it. Valid until the
  // context runs again.
  std::span<const float> of(size_t parameter) const { return gradient_[parameter]; }

 private:
  struct Weight {
    std::string output;  // "grad.<weight>"
    WeightRef ref;
  };
  void add_weight(const Weight& weight, std::span<const float> values, float scale, ThreadPool& pool);

  const Parameters& parameters_;
  std::vector<std::vector<Weight>> weights_;  // of each graph
  std::vector<char> whole_;  // parameter: in the first graph its gradient is the whole of one weight's, as it lies
  std::vector<AlignedBuffer> sums_;
  std::vector<std::span<const float>> gradient_;
  bool one_run_ = true;
};

// The L2 norm over all parameters, by one fixed tree: chains of a block of numbers, its chains, then the
// blocks in order.
double global_norm(const Gradients& gradients, size_t n_parameters, ThreadPool& pool);

}  // namespace strata
