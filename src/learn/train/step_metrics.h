// What a step's log says beside its loss: how far the model is from its teacher, how evenly experts are used.
#pragma once

#include <vector>

#include "learn/train/run_log.h"
#include "learn/train/trainer.h"

namespace strata {

class StepMetrics {
 public:
  void add(Trainer& trainer);         // after a batch was accumulated
  void write(StepLog& line) const;    // those of a step

 private:
  std::optional<double> divergence_, hidden_distance_, balance_;
  std::vector<double> expert_shares_;  // summed over batches
};

}  // namespace strata
