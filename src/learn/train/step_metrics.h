// What a step's log says beside its loss: that of the narrower model it trained, how far the model is from its teacher,
// also on what it wrote itself, how evenly experts are used.
#pragma once

#include <vector>

#include "learn/data/packed_batch.h"
#include "learn/train/run_log.h"
#include "learn/train/trainer.h"

namespace strata {

class StepMetrics {
 public:
  void add(Trainer& trainer, const PackedBatch& batch);  // after it was accumulated
  void write(StepLog& line) const;                       // those of a step

 private:
  int64_t narrow_width_ = 0;  // 0: none
  double narrow_loss_ = 0;
  std::optional<double> divergence_, hidden_distance_, balance_;
  std::vector<double> expert_shares_;  // summed over batches
  int64_t targets_ = 0, written_ = 0;  // of them
  double divergence_of_written_ = 0;   // the sum
};

}  // namespace strata
